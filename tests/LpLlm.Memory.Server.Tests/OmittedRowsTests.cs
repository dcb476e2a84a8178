using System.Text.Json;
using Google.Protobuf;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Messages;
using LpLlm.Memory.Transport.Pipes;

namespace LpLlm.Memory.Tests;

/// <summary>A daemon with more leases than its messages hold: a cut list must say so, or it would be taken for all there is.</summary>
public sealed class OmittedRowsTests : IDisposable
{
    private const int Leases = 8; // all that the daemon has

    private readonly ServerFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(4 << 10, true)]
    [InlineData(4 << 20, false)]
    public async Task Leases_MoreThanAMessageHolds_SaysOnStandardErrorHowManyAreNotShown(int maxMessageBytes, bool isCut)
    {
        var config = Path.Combine(_folder.Folder, "config.json");
        await File.WriteAllTextAsync(config, $$"""{ "PoolServer": { "Limits": { "MaxMessageBytes": {{maxMessageBytes}} } } }""");
        var (daemon, _) = await DaemonProcess.StartReadyAsync(_folder.Socket, "--config", config);
        using (daemon)
        {
            await using var client = await new PipeTransport().ConnectAsync(new Uri($"pipe://{_folder.Socket}"), default).AsTask().DefaultTimeout();
            await LeaseAsync(client);

            var table = await DaemonProcess.RunAsync("leases", "--socket", _folder.Socket);
            var json = await DaemonProcess.RunAsync("leases", "--json", "--socket", _folder.Socket);

            (table.ExitCode, json.ExitCode).Should().Be((0, 0));
            var shown = JsonDocument.Parse(json.Output).RootElement.GetArrayLength();
            shown.Should().BeInRange(1, isCut ? Leases - 1 : Leases);
            var line = isCut ? $"{Leases - shown} further leases are not shown: one message has no room for them.\n" : "";
            (table.Error, json.Error).Should().Be((line, line));
        }
    }

    private static async Task LeaseAsync(PoolChannel client)
    {
        var hello = new HelloRequest { MinVersion = PoolProtocol.Version, MaxVersion = PoolProtocol.Version, ClientName = new string('語', PoolProtocol.MaxTextLength) };
        var session = (await SendAsync(client, PoolMethod.Hello, hello, HelloReply.Parser)).Session;
        for (var i = 0; i < Leases; i++)
        {
            var request = new AcquireRequest
            {
                Session = session,
                LengthBytes = PoolProtocol.UnitBytes,
                RequestId = ByteString.CopyFrom(Token.Create().ToBytes()),
                Name = new string('語', PoolProtocol.MaxTextLength),
                TimeoutMs = 10_000,
            };
            await SendAsync(client, PoolMethod.Acquire, request, LeaseReply.Parser);
        }
    }

    private static async Task<T> SendAsync<T>(PoolChannel client, PoolMethod method, IMessage request, MessageParser<T> parser)
        where T : IMessage<T>
    {
        using var message = new PoolMessage(request.ToByteArray());
        using var reply = await client.SendAsync(method, message, default).AsTask().DefaultTimeout();
        return parser.ParseFrom(reply.Payload.Span);
    }
}
