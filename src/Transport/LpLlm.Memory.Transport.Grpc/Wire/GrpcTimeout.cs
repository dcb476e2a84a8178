using System.Globalization;

namespace LpLlm.Memory.Transport.Grpc.Wire;

/// <summary>The header <c>grpc-timeout</c>: at most 8 digits and a unit (H, M, S, m, u, n).</summary>
internal static class GrpcTimeout
{
    /// <summary>Longer than any call lives; also what timers can take.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromDays(40);

    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > 9 || !uint.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            return false;
        }

        // Ticks of 100 ns; 99,999,999 hours are 3.6e18 of them and still fit.
        long? ticks = text[^1] switch
        {
            'H' => count * TimeSpan.TicksPerHour,
            'M' => count * TimeSpan.TicksPerMinute,
            'S' => count * TimeSpan.TicksPerSecond,
            'm' => count * TimeSpan.TicksPerMillisecond,
            'u' => count * TimeSpan.TicksPerMicrosecond,
            'n' => count / 100,
            _ => null,
        };
        timeout = new TimeSpan(Math.Min(ticks ?? 0, Longest.Ticks));
        return ticks is not null;
    }
}
