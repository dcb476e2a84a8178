using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Server;

/// <summary>Segments of this host's memory.</summary>
/// <param name="settings">What memory.</param>
/// <param name="logger">For its pages.</param>
/// <param name="pinner">Page-locks what is made; null: mlock.</param>
/// <param name="budget">What the machine has; null: ask it.</param>
/// <param name="devicePinner">Finds what makes the devices' driver know what they copy from and to, when they first do; null where there are none.</param>
internal sealed class HostSegmentSource(
    HostMemorySettings settings, ILogger logger, IHostPinner? pinner = null, MemoryBudget? budget = null, Func<IHostPinner?>? devicePinner = null)
    : ISegmentSource
{
    // One at a time, on all processors: the budget is asked, then memory is taken, and two who asked the same budget would both be told yes.
    private static readonly SemaphoreSlim Turn = new(1, 1);

    // mlock, whatever pinner the host has registered for its pools: the driver is told of what a device uses, when it first does.
    private readonly HostMemorySource _source = new(settings with { Shared = true, MakesSegments = true }, pinner ?? new MlockHostPinner(), logger, budget);

    /// <summary>What a server's options say of its memory.</summary>
    public static HostMemorySettings SettingsOf(PoolServerOptions options) => new()
    {
        HugePages = options.HugePages,
        NumaNode = options.NumaNode,
        AllowPageable = options.AllowPageable,
    };

    public void EnsureAllowed(long totalBytes)
    {
        // Reserved huge pages are never locked by a call.
        var reserved = settings.HugePages switch
        {
            HugePageMode.Require => totalBytes,
            HugePageMode.Auto => new HugePageReserve(settings.HugePageBytes, settings.NumaNode).GetFreeBytes(),
            _ => 0,
        };
        if (pinner is null or MlockHostPinner && !settings.AllowPageable && totalBytes > reserved)
        {
            MlockHostPinner.EnsureAllowed(totalBytes - reserved);
        }
    }

    public ulong Identify(SafeFileHandle file) => MemoryFileStatus.Read(file).Inode;

    public async ValueTask<Segment> CreateAsync(long lengthBytes, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, long.MaxValue - PoolProtocol.UnitBytes);
        var rounded = PoolProtocol.RoundUp(lengthBytes);
        return await InTurnAsync(CreateAsync, cancellationToken).ConfigureAwait(false);

        async Task<Segment> CreateAsync()
        {
            var region = (SharedMemoryRegion)await _source.ReserveAsync(rounded, progress: null, cancellationToken).ConfigureAwait(false);
            try
            {
                return new HostSegment(region, MemoryFileStatus.Read(region.Descriptor).Inode, devicePinner);
            }
            catch
            {
                region.Dispose();
                throw;
            }
        }
    }

    public async ValueTask<Segment> AdoptAsync(SafeFileHandle file, long lengthBytes, CancellationToken cancellationToken)
    {
        var status = MemoryFileStatus.Read(file);
        var fault = !status.IsRegular || status.Seals == 0 ? "it is no memory file with seals"
            : !status.IsSealed ? $"its seals are 0x{status.Seals:x}; shrinking, growing and sealing must be forbidden (0x{MemoryFile.Seals:x}), writing must not"
            : status.LengthBytes != lengthBytes ? $"its length is {status.LengthBytes}"
            : lengthBytes < 1 || lengthBytes % PoolProtocol.UnitBytes != 0 ? $"that is no multiple of {PoolProtocol.UnitBytes}"
            : status.AllocatedBytes < lengthBytes ? $"only {status.AllocatedBytes} B of it are there, the rest are holes, which would take memory here"
            : null;
        if (fault is not null)
        {
            throw new PoolFaultException(
                PoolFaultCode.InvalidArgument, $"The descriptor that was presented as a segment of {lengthBytes} B is none: {fault}.");
        }

        return await InTurnAsync(
            async () => new HostSegment(
                await _source.AdoptAsync(file, status, cancellationToken).ConfigureAwait(false), status.Inode, devicePinner, isSealed: true),
            cancellationToken).ConfigureAwait(false);
    }

    private static async Task<Segment> InTurnAsync(Func<Task<Segment>> make, CancellationToken cancellationToken)
    {
        await Turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await make().ConfigureAwait(false);
        }
        finally
        {
            Turn.Release();
        }
    }
}
