using LpLlm.Memory.Models;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Benchmarks.Loading;

/// <summary>What anybody would write: each thread reads its share of the file with pread, a part at a time, into the same memory.</summary>
internal static class PlainRead
{
    public static void Read(LoadFile model, PinnedLease memory, int threadCount, int readBytes, bool direct)
    {
        using var file = File.OpenHandle(model.FullName);
        if (direct && !LoadNative.TrySetDirect(file, direct: true))
        {
            throw new IOException($"{model.FullName} cannot be read directly.");
        }

        var parts = (model.LengthBytes + readBytes - 1) / readBytes;
        var share = (parts + threadCount - 1) / threadCount * readBytes;
        var threads = Enumerable.Range(0, threadCount)
            .Select(thread => new Thread(() => ReadShare(file, memory.Address, thread * share, Math.Min(model.LengthBytes, (thread + 1) * share), readBytes)))
            .ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
    }

    private static void ReadShare(SafeFileHandle file, nint address, long start, long end, int readBytes)
    {
        for (var offset = start; offset < end;)
        {
            var read = LoadNative.Read(file, (nint)(address + offset), (nint)Math.Min(readBytes, end - offset), offset);
            offset += read > 0 ? read : throw new IOException($"pread at byte {offset} gave {read}.");
        }
    }
}
