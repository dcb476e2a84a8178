using LpLlm.Memory.Configuration;
using LpLlm.Memory.Server;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport;
using Microsoft.Extensions.Configuration;

namespace LpLlm.Memory;

/// <summary>Options of a pool server: how much memory it owns, to whom it leases it, and where it listens. Fixed once it has started.</summary>
public sealed class PoolServerOptions
{
    private const long UnitBytes = PoolProtocol.UnitBytes;
    private const long MaxSegmentBytes = 1L << 40;

    /// <summary>
    /// The most memory the server ever owns: leased, idle, in quarantine and being zeroed together. Required: a multiple of 2 MiB. Memory that
    /// clients present after a restart of the server comes on top.
    /// </summary>
    public long CapacityBytes { get; set; }

    /// <summary>
    /// Part of <see cref="CapacityBytes"/> that only the server's model store can have; leases of pools take the rest at most. Default 0. A multiple of
    /// 2 MiB; less than <see cref="CapacityBytes"/>, with <see cref="PoolFloorBytes"/> at most that.
    /// </summary>
    public long ModelFloorBytes { get; set; }

    /// <summary>
    /// Part of <see cref="CapacityBytes"/> that models cannot have. Default 0: then models take what leases leave, and nothing makes them go but
    /// other models and leases that need the room while nobody has them open. A multiple of 2 MiB.
    /// </summary>
    public long PoolFloorBytes { get; set; }

    /// <summary>
    /// The standard segment, of which leases are made and which is kept ready. Default 32 MiB; a multiple of 2 MiB, at most 1 TiB and at most
    /// <see cref="CapacityBytes"/> less <see cref="ModelFloorBytes"/>. Each segment takes one descriptor in the server, and all segments
    /// together at most a quarter of what the process may have (RLIMIT_NOFILE).
    /// </summary>
    public long SegmentBytes { get; set; } = 32L << 20;

    /// <summary>
    /// Memory made after the start, in whole segments, and kept ready: the first segment before the server counts as started, the others in the
    /// background. Default 0: segments are made on demand. A multiple of 2 MiB, at most <see cref="CapacityBytes"/> less
    /// <see cref="ModelFloorBytes"/>. More than the machine, its control group or RLIMIT_MEMLOCK allows fails the start; a shortage later is a warning, and tried again.
    /// </summary>
    public long WarmBytes { get; set; }

    /// <summary>Which pages back the segments. Default <see cref="HugePageMode.Auto"/>; reserved pages are those of 2 MiB.</summary>
    public HugePageMode HugePages { get; set; }

    /// <summary>The NUMA node whose memory is used, and no other's: 0 to 1023. Default null: the kernel chooses.</summary>
    public int? NumaNode { get; set; }

    /// <summary>
    /// Goes on with memory that is not page-locked when the system refuses to lock it. Default false: the server does not start, or refuses the
    /// lease.
    /// </summary>
    public bool AllowPageable { get; set; }

    /// <summary>The longest lease, in bytes. At least 2 MiB. Default null: as much as there is.</summary>
    public long? MaxLeaseBytes { get; set; }

    /// <summary>
    /// The most bytes of one client process. At least 2 MiB. Default null: as much as there is. A shared lease counts for one of its holders: first for who
    /// rented it, then for one of those who are left, even beyond this; that one gets no more until it is below.
    /// </summary>
    public long? MaxClientBytes { get; set; }

    /// <summary>The most bytes of all processes of one user together. At least 2 MiB. Default null: as much as there is.</summary>
    public long? MaxUserBytes { get; set; }

    /// <summary>The most clients at a time, 1 to 100,000. Default 1024.</summary>
    public int MaxClients { get; set; } = 1024;

    /// <summary>
    /// Time between a client's end and the reuse of its memory, so that device copies which it started drain. 0 to 24 days. Default 250 ms.
    /// </summary>
    public TimeSpan QuarantineTime { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// How long a client lives without a sign of life where its process cannot be watched (TCP). 1 s to 24 days. Default 30 s.
    /// </summary>
    public TimeSpan SessionTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long clients that were asked to give idle memory back have, before a request that would not wait is refused. 0 to 24 days.
    /// Default 1 s.
    /// </summary>
    public TimeSpan TrimPatience { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long the server waits at its stop for clients to go. 0 to 24 days. Default 5 s.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Where to listen: <c>pipe:///path</c> (on Windows <c>pipe:///name</c>), <c>grpc://host:port</c> and <c>grpc+unix:///path</c> (both need <c>AddGrpcPoolTransport</c>), and
    /// <c>embedded</c>, for pools of this process, which is always there; alone it means nowhere else. Default none: one pipe,
    /// <c>pool.sock</c> in the user's private runtime directory; on Windows <c>sllm-store-SID</c>, with the user's SID.
    /// </summary>
    public IList<string> EndPoints { get; } = [];

    /// <summary>
    /// Users who may connect beside root and the server's own, by name or number. Default none; on Windows nobody else can be served. With any, sockets are open to all users, and the server
    /// decides by the system's word who connects; the socket's folder must let them pass.
    /// </summary>
    public IList<string> AllowedUsers { get; } = [];

    /// <summary>What one client may take of the server, on any transport.</summary>
    public PoolTransportLimits Limits { get; set; } = new();

    /// <summary>Takes over what a section says; sizes may have units.</summary>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">The section has problems; one message each.</exception>
    internal void Read(IConfiguration section) => SizedConfiguration.Bind(section, this);

    /// <summary>The one rule book: adds a sentence with name and value for everything that is wrong.</summary>
    internal void Validate(ICollection<string> errors)
    {
        CheckSize(errors, nameof(CapacityBytes), CapacityBytes, UnitBytes, long.MaxValue);
        CheckSize(errors, nameof(SegmentBytes), SegmentBytes, UnitBytes, MaxSegmentBytes);
        CheckSize(errors, nameof(WarmBytes), WarmBytes, 0, long.MaxValue);
        CheckSize(errors, nameof(ModelFloorBytes), ModelFloorBytes, 0, long.MaxValue);
        CheckSize(errors, nameof(PoolFloorBytes), PoolFloorBytes, 0, long.MaxValue);
        CheckFloors(errors);
        CheckFits(errors, nameof(SegmentBytes), SegmentBytes);
        CheckFits(errors, nameof(WarmBytes), WarmBytes);
        CheckQuota(errors, nameof(MaxLeaseBytes), MaxLeaseBytes);
        CheckQuota(errors, nameof(MaxClientBytes), MaxClientBytes);
        CheckQuota(errors, nameof(MaxUserBytes), MaxUserBytes);
        if (!Enum.IsDefined(HugePages))
        {
            errors.Add($"{nameof(HugePages)} is {(int)HugePages}; it must be Auto, Require or Never.");
        }

        CheckCount(errors, nameof(NumaNode), NumaNode ?? 0, 0, NumaPolicy.MaxNode);
        CheckCount(errors, nameof(MaxClients), MaxClients, 1, 100_000);
        PinnedPoolOptions.CheckTime(errors, nameof(QuarantineTime), QuarantineTime, TimeSpan.Zero);
        PinnedPoolOptions.CheckTime(errors, nameof(SessionTimeout), SessionTimeout, TimeSpan.FromSeconds(1));
        PinnedPoolOptions.CheckTime(errors, nameof(TrimPatience), TrimPatience, TimeSpan.Zero);
        PinnedPoolOptions.CheckTime(errors, nameof(DrainTimeout), DrainTimeout, TimeSpan.Zero);
        CheckLimits(errors);
        PoolEndPoint.CheckAll(errors, nameof(EndPoints), EndPoints);
        UserNames.CheckAll(errors, nameof(AllowedUsers), AllowedUsers);
    }

    private static void CheckSize(ICollection<string> errors, string name, long value, long least, long most)
    {
        if (value < least || value > most || value % UnitBytes != 0)
        {
            var limit = most == long.MaxValue ? "" : $" and at most {most}";
            errors.Add($"{name} is {value}; it must be a multiple of {UnitBytes} (2 MiB), at least {least}{limit}.");
        }
    }

    private static void CheckQuota(ICollection<string> errors, string name, long? value)
    {
        if (value < UnitBytes)
        {
            errors.Add($"{name} is {value}; it must be at least {UnitBytes} (2 MiB), or not set.");
        }
    }

    private static void CheckCount(ICollection<string> errors, string name, int value, int least, int most)
    {
        if (value < least || value > most)
        {
            errors.Add($"{name} is {value}; it must be from {least} to {most}.");
        }
    }

    private void CheckFloors(ICollection<string> errors)
    {
        if (ModelFloorBytes < 0 || PoolFloorBytes < 0 || CapacityBytes < UnitBytes)
        {
            return; // told already
        }

        if (ModelFloorBytes >= CapacityBytes || PoolFloorBytes > CapacityBytes - ModelFloorBytes)
        {
            errors.Add(
                $"{nameof(ModelFloorBytes)} is {ModelFloorBytes} and {nameof(PoolFloorBytes)} {PoolFloorBytes}; together they must be at most "
                + $"{nameof(CapacityBytes)} ({CapacityBytes}), and the first less than that.");
        }
    }

    private void CheckFits(ICollection<string> errors, string name, long value)
    {
        var most = CapacityBytes - ModelFloorBytes;
        if (value > most && CapacityBytes >= UnitBytes && ModelFloorBytes >= 0 && most > 0)
        {
            var less = ModelFloorBytes > 0 ? $" less {nameof(ModelFloorBytes)} ({most})" : $" ({CapacityBytes})";
            errors.Add($"{name} is {value}, more than {nameof(CapacityBytes)}{less}.");
        }
    }

    private void CheckLimits(ICollection<string> errors)
    {
        if (Limits is null)
        {
            errors.Add($"{nameof(Limits)} is null; leave it out for the defaults.");
            return;
        }

        CheckCount(errors, $"{nameof(Limits)}.{nameof(Limits.MaxMessageBytes)}", Limits.MaxMessageBytes, 4 << 10, 64 << 20);
        CheckCount(errors, $"{nameof(Limits)}.{nameof(Limits.MaxConnections)}", Limits.MaxConnections, 1, 100_000);
        CheckCount(errors, $"{nameof(Limits)}.{nameof(Limits.MaxCallsPerConnection)}", Limits.MaxCallsPerConnection, 1, 10_000);
        CheckCount(errors, $"{nameof(Limits)}.{nameof(Limits.MaxRequestsPerSecond)}", Limits.MaxRequestsPerSecond, 1, 10_000_000);
        CheckCount(errors, $"{nameof(Limits)}.{nameof(Limits.MaxUnsentBytes)}", Limits.MaxUnsentBytes, 64 << 10, 1 << 30);
        PinnedPoolOptions.CheckTime(
            errors, $"{nameof(Limits)}.{nameof(Limits.ReadTimeout)}", Limits.ReadTimeout, TimeSpan.FromMilliseconds(1));
    }
}
