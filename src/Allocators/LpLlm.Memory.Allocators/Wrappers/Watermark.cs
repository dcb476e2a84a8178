using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Wrappers;

/// <summary>Notices crossings of a watermark, and reports each of them: none lost, one at a time, rises and falls in turn.</summary>
/// <remarks>
/// Crossings alternate by themselves, because they are noticed under the gate of the accounts. So their number is all that has to be
/// kept until they are reported: whoever makes it 1 starts the one reporter, which runs on the thread pool, so that neither a rent nor a
/// return waits for a callback. A fall needs 95 % of the watermark: bytes that hover around it do not make an event each time.
/// </remarks>
internal sealed class Watermark(string poolName, LimitOptions options, long watermarkBytes, ILogger logger)
{
    private const int FallDivisor = 20;
    private readonly long _fallBytes = watermarkBytes - (watermarkBytes / FallDivisor);
    private bool _above;
    private bool _reportedAbove;
    private long _unreported;

    /// <summary>Looks at the accounts after a change; the caller holds their gate.</summary>
    /// <returns>Whether the watermark was crossed: then <see cref="Report"/> must be called once, without the gate.</returns>
    public bool ObserveUnsynchronized(long bytes)
    {
        var above = _above ? bytes > _fallBytes : bytes > watermarkBytes;
        var crossed = above != _above;
        _above = above;
        return crossed;
    }

    public void Report()
    {
        if (Interlocked.Increment(ref _unreported) == 1)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static watermark => watermark.ReportAll(), this, preferLocal: false);
        }
    }

    private void ReportAll()
    {
        do
        {
            _reportedAbove = !_reportedAbove;
            ReportOne(_reportedAbove ? WatermarkKind.Risen : WatermarkKind.Fallen);
        }
        while (Interlocked.Decrement(ref _unreported) != 0);
    }

    private void ReportOne(WatermarkKind kind)
    {
        if (kind == WatermarkKind.Risen)
        {
            AllocatorsLog.WatermarkRisen(logger, poolName, watermarkBytes, options.LimitBytes);
        }
        else
        {
            AllocatorsLog.WatermarkFallen(logger, poolName, _fallBytes, watermarkBytes);
        }

        try
        {
            options.OnWatermark?.Invoke(new WatermarkEvent(poolName, kind, watermarkBytes, options.LimitBytes));
        }
        catch (Exception failure) // the host's own code: it must end neither the reports nor the process
        {
            AllocatorsLog.WatermarkCallbackFailed(logger, failure, poolName);
        }
    }
}
