using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory;

/// <summary>Logs how far pinning has come, at most once in two seconds: a start that hangs for a minute must say why.</summary>
internal sealed class PinProgressLog(string poolName, ILogger logger, TimeProvider time) : IProgress<PinProgress>
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);
    private long _last = time.GetTimestamp();

    public void Report(PinProgress value)
    {
        var last = Volatile.Read(ref _last);
        var now = time.GetTimestamp();
        if (time.GetElapsedTime(last, now) >= Interval && Interlocked.CompareExchange(ref _last, now, last) == last)
        {
            IntegrationLog.Pinning(logger, poolName, ByteSize.Format(value.ReadyBytes), ByteSize.Format(value.TotalBytes), 100 * value.ReadyBytes / value.TotalBytes);
        }
    }
}
