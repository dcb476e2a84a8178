using System.Text;
using Google.Protobuf;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Win32.SafeHandles;
using static LpLlm.Memory.Transport.Server.ServiceHarness;

namespace LpLlm.Memory.Transport.Server;

public class PoolServiceTests
{
    private readonly ServiceHarness _sut = new();

    [Theory]
    [InlineData(0u, true)]
    [InlineData(OwnUser, true)]
    [InlineData(AllowedUser, true)]
    [InlineData(null, true)]
    [InlineData(1002u, false)]
    [InlineData(uint.MaxValue, false)]
    public void Row24_Accept_KnowsItsUsers_AndNobodyIsNoUser(uint? user, bool isAllowed)
    {
        var act = () => _sut.Connect(user);

        if (isAllowed)
        {
            act.Should().NotThrow();
        }
        else
        {
            act.Should().Throw<PoolFaultException>().Which.Code.Should().Be(PoolFaultCode.PermissionDenied);
        }
    }

    [Theory]
    [InlineData(PoolMethod.Acquire)]
    [InlineData(PoolMethod.Renew)]
    [InlineData(PoolMethod.List)]
    [InlineData(PoolMethod.Statistics)]
    public void BeforeHello_IsNotFound_AndNamesTheEpoch(PoolMethod method)
    {
        var request = method == PoolMethod.Acquire ? AcquireRequest(Bytes(Token.Create())).ToByteArray() : [];

        var fault = Fault(_sut.Connect(), method, request);

        fault.Code.Should().Be(PoolFaultCode.NotFound);
        EngineHarness.Data(fault).Epoch.Should().Equal(Bytes(_sut.Host.Engine.Epoch));
        FaultCodec.IsSessionUnknown(fault).Should().BeTrue();
    }

    [Fact]
    public void AnotherConnectionsToken_IsWorthNothingHere()
    {
        var (_, session) = _sut.Open(process: 1);
        var (thief, own) = _sut.Open(process: 2);

        Fault(thief, PoolMethod.Acquire, AcquireRequest(session)).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(_sut.Connect(process: 2), PoolMethod.Renew, new RenewRequest { Session = session }).Code.Should().Be(PoolFaultCode.NotFound);
        Hello(_sut.Connect(process: 2), session).Should().Match<HelloReply>(reply => !reply.Resumed && !reply.Session.Equals(session));
        Acquire(thief, own).Lease.Should().NotBeNull();
    }

    [Fact]
    public void Row05_IdsOfAnEarlierStart_AreNotFoundAndTheEpochIsNew()
    {
        var before = new ServiceHarness();
        var (connection, session) = before.Open();
        var lease = Acquire(connection, session).Lease;

        var hello = Hello(_sut.Connect(), session);
        var now = _sut.Open(process: 3);
        var release = Fault(now.Connection, PoolMethod.Release, new ReleaseRequest { Session = now.Session, LeaseId = lease.Id });

        hello.Resumed.Should().BeFalse();
        hello.Epoch.Should().NotEqual(Bytes(before.Host.Engine.Epoch));
        release.Code.Should().Be(PoolFaultCode.NotFound);
        Fault(now.Connection, PoolMethod.Renew, new RenewRequest { Session = session }).Code.Should().Be(PoolFaultCode.NotFound);
    }

    [Theory]
    [InlineData(0L)]
    [InlineData(-1L)]
    [InlineData(1L)]
    [InlineData(int.MaxValue)]
    [InlineData(1L << 31)]
    [InlineData(uint.MaxValue)]
    [InlineData((200L << 20) + 1)]
    [InlineData(1L << 62)]
    [InlineData((1L << 62) + 1)]
    [InlineData(long.MaxValue)]
    [InlineData(long.MinValue)]
    public async Task S6_Row10_AnySizeInAnyField_IsGrantedOrRefusedTyped(long value)
    {
        var (connection, session) = _sut.Open();
        var lease = Acquire(connection, session).Lease.Id;
        var requests = new (PoolMethod Method, IMessage Request)[]
        {
            (PoolMethod.Acquire, AcquireRequest(session, value)),
            (PoolMethod.Grow, new GrowRequest { Session = session, LeaseId = lease, RequestId = Bytes(Token.Create()), LengthBytes = value }),
            (PoolMethod.Grow, new GrowRequest { Session = session, LeaseId = (ulong)value, RequestId = Bytes(Token.Create()), LengthBytes = Unit }),
            (PoolMethod.Acquire, new AcquireRequest(AcquireRequest(session)) { TimeoutMs = value == 1 ? 0 : value }),
            (PoolMethod.Acquire, new AcquireRequest(AcquireRequest(session)) { Priority = (int)value }),
            (PoolMethod.Shrink, new ShrinkRequest { Session = session, LeaseId = lease, SegmentIds = { (ulong)value } }),
            (PoolMethod.Restore, new RestoreRequest { Session = session, LeaseToken = Bytes(Token.Create()), SegmentLengths = { value } }),
            (PoolMethod.Inspect, new InspectRequest { Session = session, LeaseId = (ulong)value }),
        };

        foreach (var (method, request) in requests)
        {
            var reply = SendAsync(connection, method, request.ToByteArray());
            if (reply.IsFaulted)
            {
                reply.Exception!.InnerException.Should().BeOfType<PoolFaultException>().Which.Message.Should().NotBeNullOrEmpty();
            }
            else
            {
                reply.IsCompletedSuccessfully.Should().BeTrue();
                (await reply).Hold?.Dispose();
            }
        }

        Send(connection, PoolMethod.Renew, new RenewRequest { Session = session }, RenewReply.Parser);
        connection.Closed();
        _sut.Host.Statistics.LeasedBytes.Should().BeLessThanOrEqualTo(_sut.Host.Statistics.CapacityBytes);
    }

    [Theory]
    [InlineData(2u, 3u, PoolFaultCode.FailedPrecondition)]
    [InlineData(0u, 0u, PoolFaultCode.FailedPrecondition)]
    [InlineData(2u, 1u, PoolFaultCode.InvalidArgument)]
    public void Row30_AnotherVersion_IsRefusedByName(uint min, uint max, PoolFaultCode code)
    {
        var fault = Fault(_sut.Connect(), PoolMethod.Hello, new HelloRequest { MinVersion = min, MaxVersion = max });

        fault.Code.Should().Be(code);
        fault.Message.Should().Contain($"{max}");
    }

    [Fact]
    public async Task Row30_LaterVersionsThatKnowThisOne_Work_AndUnknownFieldsAreIgnored()
    {
        var hello = new HelloRequest { MinVersion = 1, MaxVersion = 9 }.ToByteArray();
        byte[] unknownField = [0xFA, 0x3F, 0x01, 0x78]; // number 1023, one byte long

        var reply = await SendAsync(_sut.Connect(), PoolMethod.Hello, [.. hello, .. unknownField]);

        HelloReply.Parser.ParseFrom(reply.Payload.Span).Version.Should().Be(1);
    }

    [Fact]
    public void Row30_ARequiredFeature_IsRefusedByItsName()
    {
        var fault = Fault(_sut.Connect(), PoolMethod.Hello, new HelloRequest { MinVersion = 1, MaxVersion = 1, RequiredFeatures = { "time-travel" } });

        fault.Code.Should().Be(PoolFaultCode.FailedPrecondition);
        fault.Message.Should().Contain("time-travel");
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("\u0001")]
    [InlineData("ÿÿÿÿÿÿÿÿÿÿÿ")]
    public void Row30_Garbage_IsAnInvalidArgument(string text) =>
        Fault(_sut.Connect(), PoolMethod.Hello, Encoding.Latin1.GetBytes(text)).Code.Should().Be(PoolFaultCode.InvalidArgument);

    [Fact]
    public void ACallThatIsNone_IsUnimplemented()
    {
        Fault(_sut.Connect(), (PoolMethod)99, []).Code.Should().Be(PoolFaultCode.Unimplemented);
        Fault(_sut.Connect(), PoolMethod.Watch, []).Code.Should().Be(PoolFaultCode.Unimplemented);
    }

    [Fact]
    public void S4_TheSameRequestId_GetsTheSameLease()
    {
        var (connection, session) = _sut.Open();
        var id = Token.Create();

        var first = Acquire(connection, session, 8 * Unit, id);
        var second = Acquire(connection, session, 8 * Unit, id);

        second.Should().Be(first);
        _sut.Host.Statistics.LeasedBytes.Should().Be(8 * Unit);
    }

    [Fact]
    public void Hello_OneSessionAConnection_AndTheSameAgainIsTheSame()
    {
        var (connection, session) = _sut.Open();
        var lease = Acquire(connection, session).Lease;

        var again = Hello(connection, session);
        var another = Fault(connection, PoolMethod.Hello, new HelloRequest { MinVersion = 1, MaxVersion = 1 });

        again.Resumed.Should().BeTrue();
        again.Leases.Should().ContainSingle().Which.Id.Should().Be(lease.Id);
        another.Code.Should().Be(PoolFaultCode.FailedPrecondition);
        connection.Closed();
        _sut.Host.Engine.List().Should().ContainSingle().Which.State.Should().Be(LeaseState.Detached, "the second hello was no second connection");
    }

    [Fact]
    public void Hello_OnANewConnection_ResumesWithAllLeases()
    {
        var (connection, session) = _sut.Open();
        var lease = Acquire(connection, session, 8 * Unit).Lease;
        connection.Closed();
        var next = _sut.Connect();

        var hello = Hello(next, session);

        hello.Leases.Should().ContainSingle().Which.Segments.Select(segment => segment.Id).Should().Equal(lease.Segments.Select(segment => segment.Id));
        hello.Restores.Should().BeTrue();
        _sut.Host.Engine.List().Single().State.Should().Be(LeaseState.Leased);
        Fault(connection, PoolMethod.Renew, new RenewRequest { Session = session }).Code.Should().Be(PoolFaultCode.NotFound, "that one has ended");
    }

    [Fact]
    public async Task Hello_AfterTheConnectionHasEnded_LeavesNoSessionConnected()
    {
        var exited = new TaskCompletionSource();
        var connection = _sut.Service.Accept(Peer(exited: exited.Task));
        connection.Closed();

        Fault(connection, PoolMethod.Hello, new HelloRequest { MinVersion = 1, MaxVersion = 1 }).Code.Should().Be(PoolFaultCode.Cancelled);

        exited.SetResult();
        await Task.Yield();
        _sut.Host.Statistics.Leases.Should().Be(0);
    }

    [Fact]
    public async Task ProcessEnds_ItsMemoryGoesBack()
    {
        var exited = new TaskCompletionSource();
        var connection = _sut.Service.Accept(Peer(exited: exited.Task));
        Acquire(connection, Hello(connection).Session);
        connection.Closed();
        _sut.Host.Statistics.LeasedBytes.Should().Be(Unit, "end of file is no proof");

        exited.SetResult();

        await TestTimeouts.UntilAsync(() => _sut.Host.Statistics.Sessions == 0);
        _sut.Host.Advance(1000);
        _sut.Host.Statistics.Should().Match<EngineStatistics>(s => s.LeasedBytes == 0 && s.PendingBytes == 0);
    }

    [Fact]
    public void Goodbye_EndsTheSession()
    {
        var (connection, session) = _sut.Open();
        Acquire(connection, session);

        Send(connection, PoolMethod.Release, new ReleaseRequest { Session = session, Goodbye = true }, ReleaseReply.Parser);

        _sut.Host.Statistics.Should().Match<EngineStatistics>(s => s.Sessions == 0 && s.LeasedBytes == 0);
        Fault(connection, PoolMethod.Renew, new RenewRequest { Session = session }).Code.Should().Be(PoolFaultCode.NotFound);
        Hello(connection).Resumed.Should().BeFalse("a new session may follow on the same connection");
    }

    [Fact]
    public void Descriptors_ThatNobodyAskedFor_AreClosed()
    {
        using var file = new SafeFileHandle(nint.MaxValue, ownsHandle: false);
        var (connection, session) = _sut.Open();
        var message = new PoolMessage(new RenewRequest { Session = session }.ToByteArray(), file);

        var act = () => connection.HandleAsync(PoolMethod.Renew, message, CancellationToken.None).AsTask().GetAwaiter().GetResult();

        act.Should().Throw<PoolFaultException>().Which.Code.Should().Be(PoolFaultCode.InvalidArgument);
        file.IsClosed.Should().BeTrue();
    }

    [Fact]
    public void Restore_WithoutDescriptorsOrWithOthers_IsRefused()
    {
        var (connection, session) = _sut.Open();
        var request = new RestoreRequest { Session = session, LeaseToken = Bytes(Token.Create()), SegmentLengths = { Unit, Unit } };
        var paths = _sut.Service.Accept(Peer(passesFiles: false));
        var hello = Hello(paths);

        Fault(connection, PoolMethod.Restore, request).Code.Should().Be(PoolFaultCode.InvalidArgument);
        hello.Restores.Should().BeFalse();
        Fault(paths, PoolMethod.Restore, new RestoreRequest(request) { Session = hello.Session }).Code.Should().Be(PoolFaultCode.FailedPrecondition);
    }

    [Fact]
    public async Task AReply_HoldsItsSegments_UntilItIsSent()
    {
        var (connection, session) = _sut.Open();
        var reply = await SendAsync(connection, PoolMethod.Acquire, AcquireRequest(session).ToByteArray());

        Send(connection, PoolMethod.Release, new ReleaseRequest { Session = session, Goodbye = true }, ReleaseReply.Parser);
        _sut.Host.Advance(10_000);

        _sut.Host.Statistics.PendingBytes.Should().Be(Unit, "its descriptor is still to be duplicated");
        reply.Hold!.Dispose();
        _sut.Host.Statistics.PendingBytes.Should().Be(0);
    }

    [Fact]
    public void Administration_OthersSeeTheirOwnOnly()
    {
        var (first, firstSession) = _sut.Open(process: 1);
        var (second, secondSession) = _sut.Open(process: 2);
        var (owner, ownerSession) = _sut.Open(user: OwnUser, process: 3);
        var lease = Acquire(first, firstSession).Lease.Id;

        Send(first, PoolMethod.List, new ListRequest { Session = firstSession }, ListReply.Parser).Leases.Should().ContainSingle().Which.UserId.Should().Be(AllowedUser);
        Send(second, PoolMethod.List, new ListRequest { Session = secondSession }, ListReply.Parser).Leases.Should().BeEmpty();
        Send(owner, PoolMethod.List, new ListRequest { Session = ownerSession }, ListReply.Parser).Leases.Should().ContainSingle();
        Fault(second, PoolMethod.Inspect, new InspectRequest { Session = secondSession, LeaseId = lease }).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(second, PoolMethod.Revoke, new RevokeRequest { Session = secondSession, LeaseId = lease }).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(second, PoolMethod.Statistics, new StatisticsRequest { Session = secondSession, WithEvents = true }).Code.Should().Be(PoolFaultCode.PermissionDenied);
        Send(second, PoolMethod.Statistics, new StatisticsRequest { Session = secondSession }, StatisticsReply.Parser).LeasedBytes.Should().Be(Unit);
        var inspected = Send(owner, PoolMethod.Inspect, new InspectRequest { Session = ownerSession, LeaseId = lease }, InspectReply.Parser);
        inspected.Segments.Should().ContainSingle().Which.Path.Should().BeEmpty("looking is not having");
        inspected.Events.Should().NotBeEmpty();
        Send(owner, PoolMethod.Statistics, new StatisticsRequest { Session = ownerSession, WithEvents = true }, StatisticsReply.Parser).Events.Should().NotBeEmpty();
        Send(first, PoolMethod.Revoke, new RevokeRequest { Session = firstSession, LeaseId = lease, Reason = "mine" }, RevokeReply.Parser);
        Send(owner, PoolMethod.List, new ListRequest { Session = ownerSession }, ListReply.Parser).Leases.Single().State.Should().Be("revoked");
    }

    [Fact]
    public void List_TooLongForAMessage_SaysHowManyAreLeftOut()
    {
        var name = new string('\u20ac', 128);
        var all = Enumerable.Range(0, 5000).Select(i => new Engine.LeaseSummary
        {
            Id = (ulong)i,
            Name = name,
            Owner = new SessionOptions { ClientName = name },
            LengthBytes = 1,
            SegmentCount = 1,
            HolderCount = 1,
            State = default,
            Age = default,
        }).ToList();

        var reply = Replies.List(all, new PoolTransportLimits().MaxMessageBytes);

        reply.CalculateSize().Should().BeLessThan(4 << 20);
        (reply.Leases.Count + reply.Omitted).Should().Be(5000);
        reply.Omitted.Should().BePositive();
    }

    [Fact]
    public void HelloAndGoodbye_OfAProcessThatLivesOn_LeavesNothingInTheServer()
    {
        var exited = new TaskCompletionSource();

        var session = HelloAndGoodbye(exited.Task);
        GC.Collect();

        session.IsAlive.Should().BeFalse();
        GC.KeepAlive(exited);
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private WeakReference HelloAndGoodbye(Task exited)
    {
        var connection = _sut.Service.Accept(Peer(exited: exited));
        var hello = Hello(connection);
        Transport.Token.TryParse(hello.Session.Span, out var token).Should().BeTrue();
        var session = new WeakReference(_sut.Host.Engine.Find(token));
        session.IsAlive.Should().BeTrue();
        Send(connection, PoolMethod.Release, new ReleaseRequest { Session = hello.Session, Goodbye = true }, ReleaseReply.Parser);
        connection.Closed();
        return session;
    }

    [Fact]
    public void Acquire_ThatWouldWaitLongerThanMayBe_IsNotWrong()
    {
        var (connection, session) = _sut.Open();

        Send(connection, PoolMethod.Acquire, new AcquireRequest(AcquireRequest(session)) { TimeoutMs = long.MaxValue }, LeaseReply.Parser)
            .Lease.Segments.Should().ContainSingle();
    }

    [Theory]
    [InlineData(OwnUser, true)]
    [InlineData(AllowedUser, false)]
    public void Hello_OfTheServersOwnUser_IsPrivileged(uint user, bool isPrivileged)
    {
        var (_, session) = _sut.Open(user);

        Transport.Token.TryParse(session.Span, out var token).Should().BeTrue();
        _sut.Host.Engine.Find(token)!.Options.IsPrivileged.Should().Be(isPrivileged);
    }

    [Fact]
    public async Task Watch_TellsOfRevocationTrimAndShutdown()
    {
        var (connection, session) = _sut.Open();
        var lease = Acquire(connection, session, 100 * Unit).Lease.Id;
        var watch = connection.WatchAsync(new PoolMessage(new WatchRequest { Session = session }.ToByteArray()), CancellationToken.None).GetAsyncEnumerator();
        var (other, otherSession) = _sut.Open(process: 2);

        _ = SendAsync(other, PoolMethod.Acquire, new AcquireRequest(AcquireRequest(otherSession)) { TimeoutMs = 1000 }.ToByteArray());
        (await NextAsync()).Trim.LengthBytes.Should().Be(Unit);
        _sut.Host.Engine.Revoke(lease, "why not");
        (await NextAsync()).Revoked.Should().Be(new Revocation { LeaseId = lease, Reason = "why not" });
        _sut.Host.Engine.Drain(TimeSpan.FromSeconds(2));
        (await NextAsync()).Shutdown.GraceMs.Should().Be(2000);

        async Task<WatchEvent> NextAsync()
        {
            (await watch.MoveNextAsync().DefaultTimeout()).Should().BeTrue();
            return WatchEvent.Parser.ParseFrom(watch.Current.Payload.Span);
        }
    }
}
