namespace LpLlm.Memory.Attention.Tests;

public class HostLifetimeTests : LifetimeTests
{
    private readonly Tokens _tokens = Tokens.Random(1, 20, 4, Shape());

    [Fact]
    public async Task Submit_CancelledAfterItBegan_IsComputed()
    {
        var manager = CreateManager();
        var sequence = manager.CreateCache(Shape()).CreateSequence();
        using var gate = new RentGate(Pool);
        using var cancellation = new CancellationTokenSource();
        var running = manager.SubmitAsync(Tokens.Request(0, null, (sequence, _tokens)), cancellation.Token);
        await gate.Entered;

        await cancellation.CancelAsync();
        gate.Open();

        using var result = await running.WaitAsync(Deadline);
        result.AsSpan().ToArray().ShouldMatch(Oracle.Attend(_tokens, 20));
    }

    [Fact]
    public async Task Submit_P11_RequestsInFlight_RunInOrder()
    {
        var manager = CreateManager(options => options.QueueLength = 3);
        var cache = manager.CreateCache(Shape());
        var tokens = Enumerable.Range(0, 30).Select(i => Tokens.Random(i, i + 1, 4, Shape())).ToArray();
        var order = new List<long>();
        Pool.Renting = bytes =>
        {
            if (bytes != cache.PageBytes)
            {
                order.Add(bytes); // the result's block: grows with the number of tokens
            }
        };

        var results = await Task.WhenAll(tokens.Select(each => manager.AttendAsync(cache.CreateSequence(), each))).WaitAsync(Deadline);

        for (var i = 0; i < 30; i++)
        {
            results[i].ShouldMatch(Oracle.Attend(tokens[i], i + 1));
        }

        order.Should().BeInAscendingOrder();
    }
}
