namespace LpLlm.Memory.TestKit;

/// <summary>The one bound on every await in tests: long enough for a loaded machine, short enough to find a hang.</summary>
public static class TestTimeouts
{
    private static readonly TimeSpan Default = TimeSpan.FromSeconds(30);

    public static Task DefaultTimeout(this Task task) => task.WaitAsync(Default);

    public static Task<T> DefaultTimeout<T>(this Task<T> task) => task.WaitAsync(Default);

    public static Task DefaultTimeout(this ValueTask task) => task.AsTask().WaitAsync(Default);

    public static Task<T> DefaultTimeout<T>(this ValueTask<T> task) => task.AsTask().WaitAsync(Default);

    /// <summary>Waits for something that another thread brings about and no task announces.</summary>
    public static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(Default);
        while (!condition())
        {
            await Task.Delay(1, deadline.Token);
        }
    }
}
