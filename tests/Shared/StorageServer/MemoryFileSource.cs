using System.Collections.Concurrent;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>Makes real segments and remembers them.</summary>
internal sealed class MemoryFileSource : ISegmentSource
{
    public ConcurrentQueue<MemoryFileSegment> Made { get; } = new();

    public ValueTask<Segment> CreateAsync(long lengthBytes, CancellationToken cancellationToken)
    {
        var segment = MemoryFileSegment.Create(lengthBytes);
        Made.Enqueue(segment);
        return ValueTask.FromResult<Segment>(segment);
    }

    public ulong Identify(SafeFileHandle file) => 0;

    public ValueTask<Segment> AdoptAsync(SafeFileHandle file, long lengthBytes, CancellationToken cancellationToken) =>
        throw new PoolFaultException(PoolFaultCode.InvalidArgument, "Nothing is adopted here.");
}
