using System.Runtime.Versioning;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Sources.Windows;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Server.Windows;

/// <summary>Segments of a Windows host's memory.</summary>
[SupportedOSPlatform("windows")]
internal sealed class SectionSegmentSource(HostMemorySettings settings, ILogger logger) : ISegmentSource
{
    // One at a time: two who asked the same budget would both be told yes.
    private static readonly SemaphoreSlim Turn = new(1, 1);

    private readonly HostMemorySource _source = new(settings with { Shared = true, MakesSegments = true }, HostMemory.CreatePinner(), logger);

    public ulong Identify(SafeFileHandle file) => MemorySection.Identify(file) ?? throw new MemorySourceException(
        "NtQueryObject", 0, "no section", 0, limitBytes: null, "The handle that was presented leads to no segment of a pool server.");

    public ValueTask<Segment> CreateAsync(long lengthBytes, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, long.MaxValue - PoolProtocol.UnitBytes);
        return InTurnAsync(
            async () => (SharedMemoryRegion)await _source.ReserveAsync(PoolProtocol.RoundUp(lengthBytes), progress: null, cancellationToken).ConfigureAwait(false),
            cancellationToken);
    }

    public ValueTask<Segment> AdoptAsync(SafeFileHandle file, long lengthBytes, CancellationToken cancellationToken)
    {
        _ = Identify(file);
        return InTurnAsync(() => _source.AdoptAsync(file, lengthBytes, cancellationToken), cancellationToken);
    }

    private async ValueTask<Segment> InTurnAsync(Func<Task<SharedMemoryRegion>> make, CancellationToken cancellationToken)
    {
        await Turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var region = await make().ConfigureAwait(false);
            return new SectionSegment(region, Identify(region.Descriptor));
        }
        finally
        {
            Turn.Release();
        }
    }
}
