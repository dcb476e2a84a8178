using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources;

/// <summary>
/// Looks, after every piece that was made ready, that a file which another process can write to still has all its pages. Filling its holes would
/// take memory that nobody asked the budget for, and a hole costs the one who punches it nothing: it may do so at any time.
/// </summary>
internal sealed class WholeFile(SafeFileHandle file, long lengthBytes) : IProgress<long>
{
    /// <exception cref="MemorySourceException">It has holes.</exception>
    public void Report(long value)
    {
        var allocatedBytes = MemoryFileStatus.Read(file).AllocatedBytes;
        if (allocatedBytes < lengthBytes)
        {
            throw new MemorySourceException(
                "adopting a memory file", 0, "holes", lengthBytes, allocatedBytes,
                $"Only {ByteSize.Format(allocatedBytes)} of its {ByteSize.Format(lengthBytes)} are there: present memory of which no page was given back.");
        }
    }
}
