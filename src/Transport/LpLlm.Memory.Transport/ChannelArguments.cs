namespace LpLlm.Memory.Transport;

/// <summary>What every transport checks of a message before it sends it.</summary>
internal static class ChannelArguments
{
    /// <exception cref="ArgumentException">It is no call with one reply.</exception>
    public static void CheckUnary(PoolMethod method, PoolMessage request)
    {
        if (method is PoolMethod.Watch || !Enum.IsDefined(method))
        {
            throw new ArgumentOutOfRangeException(nameof(method), method, "Must be a call with one reply; Watch has a method of its own.");
        }

        Check(request);
    }

    public static void Check(PoolMessage request) => ArgumentNullException.ThrowIfNull(request);

    /// <exception cref="PoolFaultException">The message does not fit, or has descriptors where none can pass.</exception>
    public static void CheckLimits(PoolMessage message, int maxMessageBytes, bool passesFiles)
    {
        if (message.Payload.Length > maxMessageBytes)
        {
            throw new PoolFaultException(
                PoolFaultCode.ResourceExhausted,
                $"The message has {message.Payload.Length} B, more than {maxMessageBytes} B (MaxMessageBytes): send less at a time.");
        }

        if (!passesFiles && message.Files.Count > 0)
        {
            throw new PoolFaultException(
                PoolFaultCode.Unimplemented, $"The message has {message.Files.Count} descriptors, and this transport passes none: use a pipe end point.");
        }
    }
}
