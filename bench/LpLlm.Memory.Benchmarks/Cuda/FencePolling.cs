namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Waiting for fences by asking all the time: nothing but the copies is measured.</summary>
internal static class FencePolling
{
    public static void Wait(params IReadOnlyCollection<IDeviceFence> fences)
    {
        foreach (var fence in fences)
        {
            while (!fence.IsCompleted)
            {
                Thread.SpinWait(20);
            }
        }
    }
}
