using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Server;

/// <summary>A segment of this host's memory: a sealed memory file, mapped and page-locked here.</summary>
internal sealed class HostSegment(SharedMemoryRegion region, ulong inode, Func<IHostPinner?>? devicePinner = null, bool isSealed = false)
    : Segment(region.LengthBytes, region.Capabilities.HasFlag(PoolCapabilities.PageLocked))
{
    /// <summary>Work unit of one thread: 1 ms of stores.</summary>
    private const long PieceBytes = 64L << 20;

    /// <summary>Half of the processors at most zero and free pages, however many segments come back at once: the others answer clients.</summary>
    private static readonly int Workers = Math.Max(1, Environment.ProcessorCount / 2);

    private readonly DeviceRegistration? _registration = devicePinner is null ? null : new DeviceRegistration(devicePinner, region.Address, region.LengthBytes);
    private readonly Lock _sealing = new();
    private bool _isSealed = isSealed;
    private bool _isReadOnly;

    private static readonly SafeFileHandle Zeros = System.IO.File.OpenHandle("/dev/zero");
    private static readonly SemaphoreSlim Turns = new(Workers);

    public override nint Address => region.Address;

    public override SafeFileHandle File => region.Descriptor;

    public override ulong Inode => inode;

    public override string Path { get; } = $"/proc/{Environment.ProcessId}/fd/{region.Descriptor.DangerousGetHandle()}";

    public override Task PrepareForDevicesAsync() => _registration?.EnsureAsync() ?? Task.CompletedTask;

    /// <summary>A call of 1 us, under a lock of its own: whoever comes second must not go on before it is done.</summary>
    public override void Seal(bool readOnly)
    {
        lock (_sealing)
        {
            if (!_isSealed)
            {
                MemoryFile.Seal(region.Descriptor, LengthBytes, readOnly);
                (_isSealed, _isReadOnly) = (true, readOnly);
            }
        }
    }

    public override ValueTask ClearAsync() => new(Parallel.ForAsync(
        0L,
        (LengthBytes + PieceBytes - 1) / PieceBytes,
        new ParallelOptions { MaxDegreeOfParallelism = Workers },
        (piece, _) => new ValueTask(WorkAsync(() => Clear(piece * PieceBytes)))));

    public override ValueTask DiscardAsync(bool freesPages) => new(WorkAsync(() =>
    {
        _registration?.Undo();
        try
        {
            if (freesPages && !Volatile.Read(ref _isReadOnly))
            {
                MemoryFile.FreePages(region.Descriptor, LengthBytes);
            }
        }
        finally
        {
            region.Dispose();
        }
    }));

    private static async Task WorkAsync(Action work)
    {
        await Turns.WaitAsync().ConfigureAwait(false);
        try
        {
            await Task.Run(work).ConfigureAwait(false);
        }
        finally
        {
            Turns.Release();
        }
    }

    /// <summary>
    /// Stores, not a punched hole: 100 times as fast, and the pages stay where they are. By the kernel, because a client can punch a hole at any
    /// time: where no page can be had for it the kernel returns EFAULT, while a store from here would be a SIGBUS, the end of the server.
    /// </summary>
    private unsafe void Clear(long offset)
    {
        EnsureWhole();
        var memory = new Span<byte>((void*)(Address + (nint)offset), (int)Math.Min(PieceBytes, LengthBytes - offset));
        try
        {
            while (memory.Length > 0)
            {
                memory = memory[RandomAccess.Read(Zeros, memory, fileOffset: 0)..];
            }
        }
        catch (IOException fault)
        {
            throw Refusal(fault);
        }
    }

    /// <summary>Filling a hole would take memory that nobody has asked the budget for. Before every piece: one piece is what the budget keeps free.</summary>
    private void EnsureWhole()
    {
        if (MemoryFileStatus.Read(region.Descriptor).AllocatedBytes < LengthBytes)
        {
            throw Refusal(cause: null);
        }
    }

    private MemorySourceException Refusal(Exception? cause) => new(
        "overwriting with zeros", 0, "holes", LengthBytes, limitBytes: null, "A client has taken pages out of it: discard it and make another.", cause);
}
