using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Pooling;

/// <summary>Makes the members of a hybrid pool from its options.</summary>
internal static class HybridMembers
{
    /// <exception cref="InvalidOperationException">Pageable memory would not be the last, or two members have one name.</exception>
    public static List<HybridMember> Create(
        string name,
        HybridPinnedPoolOptions options,
        IReadOnlyList<IPinnedMemoryPool> chain,
        ILogger logger,
        IHostPinner? pinner,
        TimeProvider? time)
    {
        var members = options.SizeClasses.Select(sizeClass => CreateSizeClass(name, options, sizeClass, logger, pinner, time)).ToList();
        members.AddRange(chain.Select(pool => new HybridMember(pool)));
        if (options.PageableFallbackBytes > 0)
        {
            members.Add(CreatePageable(name, options, logger, time));
        }

        CheckChain(name, members);
        return members;
    }

    /// <summary>The memory options of a hybrid pool, for a pool of its own.</summary>
    internal static TOptions CopyTo<TOptions>(HostMemoryOptions from, TOptions to)
        where TOptions : HostMemoryOptions
    {
        to.HugePages = from.HugePages;
        to.HugePageBytes = from.HugePageBytes;
        to.Shared = from.Shared;
        to.NumaNode = from.NumaNode;
        to.AllowPageable = from.AllowPageable;
        to.FenceTimeout = from.FenceTimeout;
        to.RentTimeout = from.RentTimeout;
        to.DisposeTimeout = from.DisposeTimeout;
        return to;
    }

    private static HybridMember CreateSizeClass(
        string name, HybridPinnedPoolOptions options, HybridSizeClass sizeClass, ILogger logger, IHostPinner? pinner, TimeProvider? time)
    {
        var own = CopyTo(options, sizeClass.ToFixedBlock());
        var bytes = own.GetBlockBytes();
        return new HybridMember(PinnedPoolFactory.CreateFixedBlock($"{name}-{bytes}", own, logger, pinner, time), IsOwned: true)
        {
            BlockBytes = bytes,
            AlignmentBytes = own.GetBlockAlignmentBytes(),
        };
    }

    private static HybridMember CreatePageable(string name, HybridPinnedPoolOptions options, ILogger logger, TimeProvider? time)
    {
        var own = CopyTo(
            options,
            new LocalPinnedPoolOptions { CapacityBytes = options.PageableFallbackBytes, InitialBytes = 0, ThreadCacheBytes = 0 });
        own.HugePages = HugePageMode.Never; // reserved pages are resident by nature, and too scarce for a last resort
        return new HybridMember(
            PinnedPoolFactory.CreateLocal($"{name}-pageable", own, logger, new PageablePinner(), time), IsOwned: true);
    }

    private static void CheckChain(string name, List<HybridMember> members)
    {
        foreach (var member in members.SkipLast(1).Where(member => !member.IsOwned))
        {
            if (!member.Pool.Capabilities.HasFlag(PoolCapabilities.PageLocked))
            {
                throw new InvalidOperationException(
                    $"Pool '{name}': its member '{member.Pool.Name}' may hand out pageable memory, and is not the last of "
                    + $"{string.Join(", ", members.Select(other => $"'{other.Pool.Name}'"))}; pageable memory may only be the last that is asked.");
            }
        }

        var twice = members.GroupBy(member => member.Pool.Name).FirstOrDefault(group => group.Count() > 1);
        if (twice is not null)
        {
            throw new InvalidOperationException(
                $"Pool '{name}': two of its members are named '{twice.Key}', so that leases could not say which served; rename the chain member.");
        }
    }
}
