namespace LpLlm.Memory.Benchmarks.Creation;

/// <summary>mmap, madvise(MADV_HUGEPAGE), mlock: the kernel populates, on one thread.</summary>
internal sealed class AdviseCreation : ICreation
{
    public string Name => "mmap + madvise + mlock";

    public IDisposable Create(long lengthBytes)
    {
        var mapping = new PlainMapping(lengthBytes);
        mapping.AskForHugePages();
        mapping.Lock();
        return mapping;
    }
}
