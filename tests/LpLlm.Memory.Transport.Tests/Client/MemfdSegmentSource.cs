using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Real memory files: what a client maps, shares and reads is real.</summary>
internal sealed class MemfdSegmentSource : ISegmentSource
{
    public const int Seals = MemoryCalls.SealShrink | MemoryCalls.SealGrow | MemfdCalls.SealSeal;

    private long _liveBytes;

    /// <summary>When set, each making waits for it.</summary>
    public Task? Gate { get; set; }

    /// <summary>Of the next files; a test may leave some out.</summary>
    public int NextSeals { get; set; } = Seals;

    public long LiveBytes => Interlocked.Read(ref _liveBytes);

    public async ValueTask<Segment> CreateAsync(long lengthBytes, CancellationToken cancellationToken)
    {
        if (Gate is { } gate)
        {
            await gate.WaitAsync(cancellationToken);
        }

        Interlocked.Add(ref _liveBytes, lengthBytes);
        return new MemfdSegment(this, MemfdCalls.Create(lengthBytes, NextSeals), lengthBytes);
    }

    public ulong Identify(SafeFileHandle file) => SocketNative.TryGetStatus(file, out var status) ? status.Inode : 0;

    public ValueTask<Segment> AdoptAsync(SafeFileHandle file, long lengthBytes, CancellationToken cancellationToken)
    {
        if (!SocketNative.TryGetStatus(file, out var actual) || actual.LengthBytes != lengthBytes)
        {
            throw new PoolFaultException(PoolFaultCode.InvalidArgument, $"Not a file of {lengthBytes} B.");
        }

        Interlocked.Add(ref _liveBytes, lengthBytes);
        return ValueTask.FromResult<Segment>(new MemfdSegment(this, file, lengthBytes));
    }

    public void Forget(long lengthBytes) => Interlocked.Add(ref _liveBytes, -lengthBytes);
}
