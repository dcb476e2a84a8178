namespace LpLlm.Memory.Benchmarks.Creation;

/// <summary>mmap, one write to every page, mlock; pages of the size that the kernel gives by default.</summary>
internal sealed class TouchCreation : ICreation
{
    public string Name => "mmap + touch + mlock";

    public IDisposable Create(long lengthBytes)
    {
        var mapping = new PlainMapping(lengthBytes);
        mapping.TouchPages();
        mapping.Lock();
        return mapping;
    }
}
