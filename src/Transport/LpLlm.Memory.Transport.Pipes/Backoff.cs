namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Waits between tries that grow.</summary>
internal static class Backoff
{
    /// <summary>Twice as long, up to a longest one.</summary>
    public static TimeSpan Next(TimeSpan delay, TimeSpan longest) => delay * 2 < longest ? delay * 2 : longest;
}
