using System.Runtime.InteropServices;
using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Benchmarks.Creation;

/// <summary>An anonymous mapping as written down in a first attempt: no alignment, one thread.</summary>
internal sealed class PlainMapping : IDisposable
{
    private readonly nint _address;
    private readonly long _lengthBytes;

    public PlainMapping(long lengthBytes)
    {
        _lengthBytes = lengthBytes;
        _address = Libc.Map(0, (nint)lengthBytes, Libc.ProtReadWrite, Libc.MapPrivate | Libc.MapAnonymous, -1, 0);
        Check("mmap", _address != Libc.MapFailed);
    }

    public void AskForHugePages() => Check("madvise", Libc.Advise(_address, (nint)_lengthBytes, Libc.AdviseHugePage) == 0);

    public unsafe void TouchPages()
    {
        for (long offset = 0; offset < _lengthBytes; offset += Environment.SystemPageSize)
        {
            Volatile.Write(ref *((byte*)_address + offset), 0);
        }
    }

    public void Lock() => Check("mlock", Libc.Lock(_address, (nint)_lengthBytes) == 0);

    /// <summary>Unmapping unlocks too.</summary>
    public void Dispose() => Check("munmap", Libc.Unmap(_address, (nint)_lengthBytes) == 0);

    private void Check(string operation, bool succeeded)
    {
        if (!succeeded)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new MemorySourceException(operation, error, Errno.NameOf(error), _lengthBytes, null, "The peer of the benchmark failed.");
        }
    }
}
