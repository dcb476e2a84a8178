namespace LpLlm.Memory.Transport.Server;

/// <summary>Bytes of requests that the server has read, wholly or in part, and not yet answered, and of long replies over gRPC, over all connections.</summary>
internal static class RequestBytes
{
    private const long LeastBytes = 256L << 20;
    private const int LongestMessages = 16;

    /// <summary>What listeners of one server share; a listener without such a server has its own.</summary>
    public static PeerBudget BudgetOf(IPoolConnectionHandler handler, PoolTransportLimits limits) =>
        (handler as IRequestBudgetHost)?.RequestBudget ?? CreateBudget(limits);

    /// <summary>256 MiB, or 16 of the longest messages if that is more: requests have some 100 B, and a hundred KiB at most.</summary>
    public static PeerBudget CreateBudget(PoolTransportLimits limits) => new(Math.Max(LeastBytes, (long)LongestMessages * limits.MaxMessageBytes));

    public static PoolFaultException Refusal(long lengthBytes, PeerBudget budget) => new(
        PoolFaultCode.ResourceExhausted,
        $"The message has {lengthBytes} B, and the messages of all clients may take {budget.Max} B, of which this one's process has the largest part: await some first.");
}
