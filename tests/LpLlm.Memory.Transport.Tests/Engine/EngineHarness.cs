using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport;

/// <summary>An engine on simulated memory and time, 100 units of 2 MiB with standard segments of 4, and short names for what tests do.</summary>
internal sealed class EngineHarness
{
    public const long Unit = 2L << 20;
    public const long Standard = 4 * Unit;

    public EngineHarness(Func<PoolEngineSettings, PoolEngineSettings>? configure = null)
    {
        var settings = new PoolEngineSettings { CapacityBytes = 100 * Unit, SegmentBytes = Standard };
        Engine = new PoolEngine(configure?.Invoke(settings) ?? settings, Source, Time, Logger);
    }

    public ManualTimeProvider Time { get; } = new();

    public SimulatedSegmentSource Source { get; } = new();

    public CollectingLogger Logger { get; } = new();

    public PoolEngine Engine { get; }

    public EngineStatistics Statistics => Engine.GetStatistics();

    public PoolSession Open(uint? user = 1000, int? process = null, bool watched = true, bool own = false, string name = "", bool privileged = false) => Engine.Open(
        new SessionOptions { ClientName = name, UserId = user, ProcessId = process, IsWatched = watched, IsThisProcess = own, IsPrivileged = privileged });

    /// <summary>The model store's session, as the daemon opens it.</summary>
    public PoolSession OpenStore() => Engine.Open(
        new SessionOptions { ClientName = "store", IsWatched = true, IsThisProcess = true, IsPrivileged = true, HoldsModels = true });

    public Task<LeaseGrant> AcquireAsync(
        PoolSession session, long units, TimeSpan timeout = default, RentPriority priority = default, bool single = false, Token? id = null, CancellationToken token = default) =>
        Engine.AcquireAsync(session, Options(units, timeout, priority, single, id), token);

    /// <summary>A lease that is there at once, its reply sent.</summary>
    public LeaseGrant Acquire(PoolSession session, long units, bool single = false) => Sent(AcquireAsync(session, units, single: single));

    public LeaseGrant Grow(PoolSession session, LeaseGrant lease, long units) =>
        Sent(Engine.GrowAsync(session, lease.LeaseId, Options(units), CancellationToken.None));

    public static AcquireOptions Options(long units, TimeSpan timeout = default, RentPriority priority = default, bool single = false, Token? id = null) => new()
    {
        LengthBytes = units * Unit,
        Timeout = timeout,
        Priority = priority,
        SingleSegment = single,
        RequestId = id ?? Token.Create(),
    };

    public static LeaseGrant Sent(Task<LeaseGrant> request)
    {
        request.IsCompleted.Should().BeTrue("there is room");
        var grant = request.GetAwaiter().GetResult();
        grant.Dispose();
        return grant;
    }

    public static SimulatedSegment Piece(LeaseGrant grant, int index = 0) => (SimulatedSegment)grant.Segments[index].Segment;

    public static PoolFaultException Fault(Task<LeaseGrant> request)
    {
        request.IsFaulted.Should().BeTrue("it was refused");
        return request.Exception!.InnerException.Should().BeOfType<PoolFaultException>().Subject;
    }

    public static PoolFaultException Fault(Action action) => action.Should().Throw<PoolFaultException>().Which;

    public static ErrorData Data(PoolFaultException fault) => ErrorData.Parser.ParseFrom(fault.Data.Span);

    public void Advance(double milliseconds) => Time.Advance(TimeSpan.FromMilliseconds(milliseconds));
}
