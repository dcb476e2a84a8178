using Google.Protobuf;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;
using static LpLlm.Memory.Transport.Server.ServiceHarness;

namespace LpLlm.Memory.Transport.Server;

/// <summary>
/// A million requests of clients that send anything: valid messages with values from the edges, the same with bits flipped or cut off, and plain
/// noise. Each gets a reply or a typed error; in the end nothing is left.
/// </summary>
public class PoolServiceFuzzTests
{
    private const int RequestsPerSeed = 250_000;

    private static readonly PoolMethod[] Methods = Enum.GetValues<PoolMethod>();
    private static readonly long[] Edges =
    [
        0, 1, 2, -1, Unit - 1, Unit, Unit + 1, 3 * Unit, 100 * Unit, (100 * Unit) + 1, int.MaxValue, 1L << 31, uint.MaxValue, 1L << 62,
        (1L << 62) + 1, long.MaxValue, long.MinValue,
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task AnyRequest_GetsATypedAnswer_AndNothingIsLeft(int seed)
    {
        var run = new Run(seed);
        for (var i = 0; i < RequestsPerSeed; i++)
        {
            await run.StepAsync();
        }

        await run.EndAsync();
    }

    private sealed class Run(int seed)
    {
        private readonly Random _random = new(seed);
        private readonly ServiceHarness _sut = new(withModels: true);
        private readonly List<Client> _clients = [];
        private readonly List<(Task<PoolMessage> Reply, CancellationTokenSource Cancellation)> _running = [];
        private readonly List<ByteString> _tokens = [ByteString.Empty, ByteString.CopyFrom(new byte[16]), ByteString.CopyFrom(1, 2, 3)];
        private readonly List<ulong> _ids = [0, 1, ulong.MaxValue];
        private int _granted;

        public async Task StepAsync()
        {
            if (_clients.Count < 6)
            {
                Connect();
            }

            var client = _clients[_random.Next(_clients.Count)];
            switch (_random.Next(2000))
            {
                case 0:
                    Disconnect(client, isDead: _random.Next(2) == 0);
                    return;
                case < 20:
                    _sut.Host.Advance(_random.Next(500));
                    await CollectAsync();
                    return;
            }

            var method = Methods[_random.Next(Methods.Length)];
            var valid = Create(method, client).ToByteArray();
            var bytes = _random.Next(8) switch
            {
                0 => Noise(_random.Next(64)),
                1 or 2 => Mutate(valid),
                _ => valid,
            };
            if (_random.Next(64) == 0)
            {
                method = Methods[_random.Next(Methods.Length)]; // a message of one kind as another
            }

            await SendAsync(client, method, bytes);
        }

        public async Task EndAsync()
        {
            while (_clients.Count > 0)
            {
                Disconnect(_clients[0], isDead: true);
            }

            for (var i = 0; i < 100 && _sut.Host.Statistics is not { Sessions: 0, PendingBytes: 0 }; i++)
            {
                await Task.Delay(1); // the ends of processes are told on the thread pool
                _sut.Host.Advance(60_000);
            }

            await CollectAsync();
            await _sut.Models.ClearAsync(default); // no use is left, or it would refuse
            _running.Should().BeEmpty("nothing waits for ever");
            await TestTimeouts.UntilAsync(() => _sut.Device.Open == 0);
            _granted.Should().BeGreaterThan(1000, "else the fuzzing has met refusals only");
            _sut.Host.Statistics.Should().Match<EngineStatistics>(s => s.LeasedBytes == 0 && s.PendingBytes == 0 && s.Waiting == 0 && s.Leases == 0 && s.Sessions == 0);
        }

        private void Connect()
        {
            uint?[] users = [AllowedUser, AllowedUser, 1001, OwnUser, null];
            var exited = new TaskCompletionSource();
            var connection = _sut.Service.Accept(Peer(users[_random.Next(users.Length)], _random.Next(1, 1000), exited.Task, passesFiles: _random.Next(4) > 0));
            _clients.Add(new Client(connection, exited));
        }

        private void Disconnect(Client client, bool isDead)
        {
            client.Connection.Closed();
            _clients.Remove(client);
            if (isDead)
            {
                client.Exited.SetResult();
            }
            else
            {
                // Its process lives on: it comes back, perhaps to resume its session.
                _clients.Add(new Client(_sut.Service.Accept(Peer(AllowedUser, 1, client.Exited.Task)), client.Exited) { Session = client.Session });
            }
        }

        private async Task SendAsync(Client client, PoolMethod method, byte[] bytes)
        {
            if (method == PoolMethod.Watch)
            {
                await WatchAsync(client, bytes);
                return;
            }

            var cancellation = new CancellationTokenSource();
            var files = method == PoolMethod.Restore || _random.Next(256) == 0
                ? Enumerable.Range(0, _random.Next(4)).Select(_ => _sut.Host.Source.File(1_000_000 + (ulong)_random.NextInt64(100))).ToArray()
                : [];
            _running.Add((client.Connection.HandleAsync(method, new PoolMessage(bytes, files), cancellation.Token).AsTask(), cancellation));
            if (_running.Count > 32)
            {
                await CollectAsync();
            }
            else if (_running[^1].Reply.IsCompleted)
            {
                var last = _running[^1].Reply;
                _running.RemoveAt(_running.Count - 1);
                Learn(client, method, await AnswerAsync(last));
            }
            else if (_random.Next(4) == 0)
            {
                await cancellation.CancelAsync();
            }
        }

        private static async Task WatchAsync(Client client, byte[] bytes)
        {
            using var end = new CancellationTokenSource();
            await end.CancelAsync();
            try
            {
                await foreach (var message in client.Connection.WatchAsync(new PoolMessage(bytes), end.Token))
                {
                    WatchEvent.Parser.ParseFrom(message.Payload.Span).EventCase.Should().NotBe(WatchEvent.EventOneofCase.None);
                }
            }
            catch (Exception e) when (e is PoolFaultException or OperationCanceledException)
            {
                // As it should be.
            }
        }

        private async Task CollectAsync()
        {
            foreach (var (reply, cancellation) in _running.ToList())
            {
                if (!reply.IsCompleted)
                {
                    await cancellation.CancelAsync();
                }

                await AnswerAsync(reply);
            }

            _running.Clear();
        }

        private async Task<PoolMessage?> AnswerAsync(Task<PoolMessage> reply)
        {
            try
            {
                var message = await reply.DefaultTimeout();
                _granted++;
                message.Hold?.Dispose();
                return message;
            }
            catch (PoolFaultException fault)
            {
                fault.Message.Should().NotBeNullOrEmpty();
                fault.Code.Should().NotBe(PoolFaultCode.Internal);
                return null;
            }
            catch (OperationCanceledException)
            {
                return null;
            }
        }

        /// <summary>Later requests speak of what there is.</summary>
        private void Learn(Client client, PoolMethod method, PoolMessage? reply)
        {
            if (reply is null)
            {
                return;
            }

            if (method == PoolMethod.Hello)
            {
                client.Session = HelloReply.Parser.ParseFrom(reply.Payload.Span).Session;
                Keep(_tokens, client.Session);
            }
            else if (method is PoolMethod.Acquire or PoolMethod.Grow or PoolMethod.Attach or PoolMethod.Restore)
            {
                var lease = LeaseReply.Parser.ParseFrom(reply.Payload.Span).Lease;
                Keep(_ids, lease.Id);
                Keep(_tokens, lease.Token);
                foreach (var segment in lease.Segments.Take(3))
                {
                    Keep(_ids, segment.Id);
                }
            }
        }

        private void Keep<T>(List<T> list, T value)
        {
            if (list.Count < 64)
            {
                list.Add(value);
            }
            else
            {
                list[_random.Next(3, list.Count)] = value;
            }
        }

        private IMessage Create(PoolMethod method, Client client)
        {
            var session = _random.Next(16) > 0 ? client.Session : Any(_tokens);
            return method switch
            {
                PoolMethod.Hello => new HelloRequest
                {
                    MinVersion = _random.Next(8) > 0 ? 1 : (uint)_random.Next(),
                    MaxVersion = _random.Next(8) > 0 ? 1 : (uint)_random.Next(),
                    Session = Any(_tokens),
                    ClientName = AnyText(),
                    RequiredFeatures = { Enumerable.Range(0, Math.Max(0, _random.Next(40) - 36)).Select(_ => AnyText()) },
                },
                PoolMethod.Acquire => new AcquireRequest
                {
                    Session = session,
                    RequestId = AnyId(),
                    LengthBytes = AnyLength(),
                    Priority = _random.Next(-2, 3),
                    TimeoutMs = AnyWait(),
                    SingleSegment = _random.Next(4) == 0,
                    Name = AnyText(),
                },
                PoolMethod.Grow => new GrowRequest
                {
                    Session = session,
                    RequestId = AnyId(),
                    LeaseId = Any(_ids),
                    LengthBytes = AnyLength(),
                    Priority = _random.Next(-2, 3),
                    TimeoutMs = AnyWait(),
                },
                PoolMethod.Shrink => new ShrinkRequest { Session = session, LeaseId = Any(_ids), SegmentIds = { Enumerable.Range(0, _random.Next(4)).Select(_ => Any(_ids)) } },
                PoolMethod.Release => new ReleaseRequest { Session = session, LeaseId = Any(_ids), Goodbye = _random.Next(64) == 0 },
                PoolMethod.Withdraw => new WithdrawRequest { Session = session, RequestId = AnyId() },
                PoolMethod.Attach => new AttachRequest { Session = session, LeaseToken = Any(_tokens) },
                PoolMethod.Restore => new RestoreRequest
                {
                    Session = session,
                    LeaseToken = Any(_tokens),
                    Name = AnyText(),
                    SegmentLengths = { Enumerable.Range(0, _random.Next(4)).Select(_ => AnyLength()) },
                },
                PoolMethod.Renew => new RenewRequest { Session = session },
                PoolMethod.Watch => new WatchRequest { Session = session },
                PoolMethod.List => new ListRequest { Session = session },
                PoolMethod.Inspect => new InspectRequest { Session = session, LeaseId = Any(_ids) },
                PoolMethod.OpenModel => new OpenModelRequest { Session = session, OpenId = AnyId(), Model = AnyModel(), TimeoutMs = AnyWait() },
                PoolMethod.CloseModel => new CloseModelRequest { Session = session, OpenId = AnyId() },
                PoolMethod.GetModelIndex => new GetModelIndexRequest { Session = session, OpenId = AnyId(), First = _random.Next(-1, 4) },
                PoolMethod.ListModels => new ListModelsRequest { Session = session },
                PoolMethod.LoadModel => new LoadModelRequest { Session = session, Model = AnyModel(), TimeoutMs = AnyWait() },
                PoolMethod.UnloadModel => new UnloadModelRequest { Session = session, Model = AnyModel() },
                PoolMethod.Revoke => new RevokeRequest { Session = session, LeaseId = Any(_ids), Reason = AnyText() },
                PoolMethod.CopyToDevice or PoolMethod.CopyFromDevice => new DeviceCopyRequest
                {
                    Session = session,
                    LeaseId = Any(_ids),
                    DeviceUuid = _random.Next(8) > 0 ? _sut.Device.Uuid : AnyText(),
                    IpcHandle = ByteString.CopyFrom(Noise(_random.Next(8) > 0 ? 64 : _random.Next(80))),
                    Ranges = { Enumerable.Range(0, _random.Next(4)).Select(_ => AnyRange()) },
                    TimeoutMs = AnyWait(),
                },
                _ => new StatisticsRequest { Session = session, WithEvents = _random.Next(64) == 0 },
            };
        }

        private DeviceCopyRange AnyRange() => new()
        {
            SegmentId = Any(_ids),
            SegmentOffset = _random.Next(2) == 0 ? 0 : AnyLength(),
            DeviceOffset = _random.Next(2) == 0 ? 0 : AnyLength(),
            LengthBytes = _random.Next(2) == 0 ? Unit : AnyLength(),
        };

        private string AnyModel() => _random.Next(4) > 0 ? $"m{_random.Next(4)}" : AnyText();

        private byte[] Noise(int length)
        {
            var bytes = new byte[length];
            _random.NextBytes(bytes);
            return bytes;
        }

        private byte[] Mutate(byte[] bytes)
        {
            if (bytes.Length == 0)
            {
                return Noise(8);
            }

            switch (_random.Next(4))
            {
                case 0:
                    return bytes[.._random.Next(bytes.Length)];
                case 1:
                    return [.. bytes, .. Noise(_random.Next(8))];
                default:
                    bytes[_random.Next(bytes.Length)] ^= (byte)(1 << _random.Next(8));
                    return bytes;
            }
        }

        private T Any<T>(List<T> list) => list[_random.Next(list.Count)];

        private ByteString AnyId() => _random.Next(4) == 0 ? Any(_tokens) : ByteString.CopyFrom(Noise(16));

        private long AnyLength() => _random.Next(2) == 0 ? _random.Next(1, 20) * Unit : _random.Next(8) == 0 ? _random.NextInt64() : Edges[_random.Next(Edges.Length)];

        private long AnyWait() => _random.Next(4) == 0 ? Edges[_random.Next(Edges.Length)] : _random.Next(3) * 100;

        private string AnyText() => _random.Next(16) switch
        {
            0 => new string('x', _random.Next(300)),
            1 => "a\nb",
            2 => "\u20ac\ud83d\ude00",
            _ => "name",
        };
    }

    private sealed class Client(IPoolConnection connection, TaskCompletionSource exited)
    {
        public IPoolConnection Connection => connection;

        public TaskCompletionSource Exited => exited;

        public ByteString Session { get; set; } = ByteString.Empty;
    }
}
