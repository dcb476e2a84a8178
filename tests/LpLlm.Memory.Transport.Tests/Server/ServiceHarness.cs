using Google.Protobuf;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Devices;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Server;

/// <summary>The dispatcher on an engine of simulated memory and time, and short names for what tests send.</summary>
internal sealed class ServiceHarness
{
    public const uint OwnUser = 900;
    public const uint AllowedUser = 1000;
    public const long Unit = EngineHarness.Unit;

    public ServiceHarness(Func<PoolEngineSettings, PoolEngineSettings>? configure = null, bool withModels = false)
    {
        Host = new EngineHarness(configure);
        Models = withModels ? new FakeModelService(Host) : null!;
        var policy = new PoolServicePolicy { OwnUserId = OwnUser, AllowedUsers = new HashSet<uint> { AllowedUser, 1001, uint.MaxValue } };
        Service = new PoolService(Host.Engine, policy, NullLogger.Instance, Host.Time, new SimulatedDeviceSet(Device), Models);
    }

    /// <summary>The model store, where there is one.</summary>
    public FakeModelService Models { get; }

    public EngineHarness Host { get; }

    public InstantDevice Device { get; } = new();

    public PoolService Service { get; }

    public static PoolPeer Peer(uint? user = AllowedUser, int? process = 1, Task? exited = null, bool passesFiles = true) => new()
    {
        Description = "test",
        UserId = user,
        ProcessId = process,
        Exited = exited ?? new TaskCompletionSource().Task,
        PassesFiles = passesFiles,
    };

    public IPoolConnection Connect(uint? user = AllowedUser, int? process = 1) => Service.Accept(Peer(user, process));

    public (IPoolConnection Connection, ByteString Session) Open(uint? user = AllowedUser, int? process = 1)
    {
        var connection = Connect(user, process);
        return (connection, Hello(connection).Session);
    }

    public static HelloReply Hello(IPoolConnection connection, ByteString? session = null) => Send(
        connection, PoolMethod.Hello, new HelloRequest { MinVersion = 1, MaxVersion = 1, ClientName = "test", Session = session ?? ByteString.Empty }, HelloReply.Parser);

    public static LeaseReply Acquire(IPoolConnection connection, ByteString session, long lengthBytes = Unit, Token? id = null) =>
        Send(connection, PoolMethod.Acquire, AcquireRequest(session, lengthBytes, id), LeaseReply.Parser);

    public static AcquireRequest AcquireRequest(ByteString session, long lengthBytes = Unit, Token? id = null) =>
        new() { Session = session, RequestId = Bytes(id ?? Token.Create()), LengthBytes = lengthBytes };

    public static T Send<T>(IPoolConnection connection, PoolMethod method, IMessage request, MessageParser<T> parser)
        where T : IMessage<T>
    {
        var reply = SendAsync(connection, method, request.ToByteArray());
        reply.IsCompleted.Should().BeTrue("nothing stands in its way");
        var message = reply.GetAwaiter().GetResult();
        message.Hold?.Dispose();
        return parser.ParseFrom(message.Payload.Span);
    }

    public static Task<PoolMessage> SendAsync(IPoolConnection connection, PoolMethod method, byte[] request) =>
        connection.HandleAsync(method, new PoolMessage(request), CancellationToken.None).AsTask();

    public static PoolFaultException Fault(IPoolConnection connection, PoolMethod method, IMessage request) => Fault(connection, method, request.ToByteArray());

    public static PoolFaultException Fault(IPoolConnection connection, PoolMethod method, byte[] request)
    {
        var reply = SendAsync(connection, method, request);
        reply.IsFaulted.Should().BeTrue($"{method} is to be refused");
        return reply.Exception!.InnerException.Should().BeOfType<PoolFaultException>().Subject;
    }

    public static ByteString Bytes(Token token) => ByteString.CopyFrom(token.ToBytes());
}
