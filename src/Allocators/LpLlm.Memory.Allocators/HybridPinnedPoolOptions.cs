namespace LpLlm.Memory;

/// <summary>
/// Options of a pool over pools: size classes first, then a chain of registered pools, then perhaps pageable memory. The options of host
/// memory apply to the size classes; chain members have their own. Fixed once the pool exists.
/// </summary>
public sealed class HybridPinnedPoolOptions : HostMemoryOptions
{
    /// <summary>
    /// Blocks of single lengths, each the hybrid pool's own fixed-block pool, named <c>{pool}-{bytes}</c>: asked first, for rents of exactly
    /// their length. Default none; two of one length are an error.
    /// </summary>
    public IList<HybridSizeClass> SizeClasses { get; } = [];

    /// <summary>
    /// Names of registered pools, asked in this order. They keep their own options, may serve others too, and are not disposed with the
    /// hybrid pool. One whose options allow pageable memory, now or at its next growth, must be the last. Default none; empty only beside
    /// size classes.
    /// </summary>
    public IList<string> Chain { get; } = [];

    /// <summary>
    /// Whether the next member is asked when one has no room. That the system refuses a member the memory to grow by is no room too, with
    /// <see cref="ExhaustionCause.NoMemory"/>. Default true; false: the rent fails, or waits for that one.
    /// </summary>
    public bool FallBackOnExhaustion { get; set; } = true;

    /// <summary>
    /// Whether a member that does not work, as one whose server is gone, is passed by until it works again. Default true; false: each of its
    /// failures reaches the caller.
    /// </summary>
    public bool FallBackOnUnavailability { get; set; } = true;

    /// <summary>How often a member that does not work is tried in the background, by a rent of 1 B. 1 ms to 24 days. Default 500 ms.</summary>
    public TimeSpan RetryInterval { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// The most bytes of ordinary, pageable memory that serve when nothing else does; their leases lack
    /// <see cref="PoolCapabilities.PageLocked"/>, and their pool is named <c>{pool}-pageable</c>. A multiple of 4 KiB. Default 0: none, ever.
    /// </summary>
    public long PageableFallbackBytes { get; set; }

    internal override void Validate(ICollection<string> errors)
    {
        if (SizeClasses.Count + Chain.Count == 0)
        {
            errors.Add($"{nameof(SizeClasses)} and {nameof(Chain)} are empty; a hybrid pool needs a size class or a pool in its chain.");
        }

        CheckSizeClasses(errors);
        AddDuplicates(errors, nameof(Chain), Chain);
        CheckSize(errors, nameof(PageableFallbackBytes), PageableFallbackBytes, 0, long.MaxValue);
        CheckTime(errors, nameof(RetryInterval), RetryInterval, TimeSpan.FromMilliseconds(1));
        if (AllowPageable && SizeClasses.Count > 0 && (Chain.Count > 0 || PageableFallbackBytes > 0))
        {
            errors.Add(
                $"{nameof(AllowPageable)} is true, and size classes are not the last that is asked; pageable memory may only be the last: "
                + $"use {nameof(PageableFallbackBytes)}.");
        }

        base.Validate(errors);
    }

    private void CheckSizeClasses(ICollection<string> errors)
    {
        var lengths = new List<long>();
        for (var i = 0; i < SizeClasses.Count; i++)
        {
            var own = new List<string>();
            var options = SizeClasses[i].ToFixedBlock();
            options.Validate(own);
            own.ForEach(error => errors.Add($"{nameof(SizeClasses)}:{i}: {error}"));
            if (own.Count == 0)
            {
                lengths.Add(options.GetBlockBytes());
            }
        }

        AddDuplicates(errors, nameof(SizeClasses), lengths);
    }

    private static void AddDuplicates<T>(ICollection<string> errors, string name, IEnumerable<T> values)
    {
        foreach (var group in values.GroupBy(value => value).Where(group => group.Count() > 1))
        {
            errors.Add($"{name} has '{group.Key}' {group.Count()} times; once is enough.");
        }
    }
}
