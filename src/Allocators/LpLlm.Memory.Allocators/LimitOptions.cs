namespace LpLlm.Memory;

/// <summary>Options of a limit around a pool (<c>AddLimit</c>): a budget of bytes. Fixed once the pool exists.</summary>
/// <remarks>
/// Counted are the lengths of leases exactly as rented, those returned behind fences that have not completed included. What the pool
/// under the limit reserves, rounds up or caches is not: the limit bounds what is out, the pool's own capacity what is taken.
/// </remarks>
public sealed class LimitOptions
{
    /// <summary>The most bytes that may be rented at any instant. Required: at least 1.</summary>
    public long LimitBytes { get; set; }

    /// <summary>
    /// Above so many rented bytes one <see cref="WatermarkKind.Risen"/> is reported, and one <see cref="WatermarkKind.Fallen"/> once they are
    /// down at 95 % of it. At least 1, below <see cref="LimitBytes"/>. Default null: no reports.
    /// </summary>
    public long? WatermarkBytes { get; set; }

    /// <summary>
    /// Gets the reports, one at a time and strictly in turn, on a thread of the thread pool. Default null: they are logged only. An exception
    /// is logged as an error and ends nothing. Cannot come from configuration.
    /// </summary>
    public Action<WatermarkEvent>? OnWatermark { get; set; }

    /// <summary>
    /// How long a rent without room under the limit waits for device work behind which memory was returned
    /// (<see cref="PinnedLease.ReturnAfter"/>), before it fails. 0 (not at all) to 24 days. Default 100 ms.
    /// </summary>
    public TimeSpan FenceTimeout { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// How long an asynchronous rent waits for the limit and for the pool under it together, unless it says so itself; stands in for that
    /// pool's own option. 1 ms to 24 days. Default 30 s.
    /// </summary>
    public TimeSpan RentTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The one rule book: adds a sentence with name and value for everything that is wrong.</summary>
    internal void Validate(ICollection<string> errors)
    {
        if (LimitBytes < 1)
        {
            errors.Add($"{nameof(LimitBytes)} is {LimitBytes}; it must be at least 1.");
        }

        if (WatermarkBytes is { } watermark && (watermark < 1 || watermark >= LimitBytes))
        {
            errors.Add($"{nameof(WatermarkBytes)} is {watermark}; it must be at least 1 and below {nameof(LimitBytes)} ({LimitBytes}).");
        }

        if (OnWatermark is not null && WatermarkBytes is null)
        {
            errors.Add($"{nameof(OnWatermark)} is set, but {nameof(WatermarkBytes)} is not; set it too.");
        }

        PinnedPoolOptions.CheckTime(errors, nameof(FenceTimeout), FenceTimeout, TimeSpan.Zero);
        PinnedPoolOptions.CheckTime(errors, nameof(RentTimeout), RentTimeout, TimeSpan.FromMilliseconds(1));
    }
}
