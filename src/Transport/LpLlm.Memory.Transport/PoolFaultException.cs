namespace LpLlm.Memory.Transport;

/// <summary>
/// A failure that travels: thrown by a server's handler, sent as code, text and data, and thrown again by the client's channel. Users of
/// pools never see it; the client turns it into the library's exceptions.
/// </summary>
/// <param name="code">What kind of failure.</param>
/// <param name="text">For people: names the value and the remedy. At most 4096 characters travel.</param>
/// <param name="data">For programs: an encoded <c>ErrorData</c>, or nothing. At most 4096 bytes.</param>
public sealed class PoolFaultException(PoolFaultCode code, string text, ReadOnlyMemory<byte> data = default) : Exception(text)
{
    /// <summary>What kind of failure.</summary>
    public PoolFaultCode Code { get; } = code;

    /// <summary>For programs: an encoded <c>ErrorData</c>, or nothing.</summary>
    public new ReadOnlyMemory<byte> Data { get; } = data;
}
