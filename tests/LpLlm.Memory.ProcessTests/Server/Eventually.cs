namespace LpLlm.Memory.Tests.Server;

/// <summary>Waits for what other processes bring about and nothing announces.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    public static async Task TrueAsync(Func<Task<bool>> condition)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        while (!await condition())
        {
            await Task.Delay(5, deadline.Token);
        }
    }
}
