using LpLlm.Memory.Server;
using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Tests.Server;

public class ServerWarmUpTests
{
    private static readonly Uri EndPoint = new("pipe:///silent");

    private readonly ManualTimeProvider _time = new();

    [Fact]
    public async Task Run_ServerThatNeverAnswers_IsGivenUpAfter15Seconds()
    {
        var warmUp = ServerWarmUp.RunAsync(new SilentTransport(), EndPoint, _time, CancellationToken.None);
        _time.Advance(TimeSpan.FromSeconds(14.9));
        warmUp.IsCompleted.Should().BeFalse();

        _time.Advance(TimeSpan.FromSeconds(0.2));

        (await warmUp.Awaiting(run => run.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>()).Which.Message.Should().Contain("within 15 s");
    }

    [Fact]
    public async Task Run_Cancelled_IsCancelledAndNotUnavailable()
    {
        using var stop = new CancellationTokenSource();
        var warmUp = ServerWarmUp.RunAsync(new SilentTransport(), EndPoint, _time, stop.Token);

        await stop.CancelAsync();

        await warmUp.Awaiting(run => run.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
    }

    private sealed class SilentTransport : PoolTransport
    {
        public override string Scheme => "pipe";

        public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            throw new InvalidOperationException("The wait has no end of its own.");
        }

        public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) =>
            throw new NotSupportedException();
    }
}
