namespace LpLlm.Memory.Transport.Server;

/// <summary>What one connection holds of a <see cref="PeerBudget"/>; disposed with it. Thread-safe.</summary>
internal sealed class PeerShare(PeerBudget budget, PoolPeer peer, Action<string> drop) : IDisposable
{
    /// <summary>-1 where the transport cannot tell: all such together.</summary>
    public long User { get; } = peer.UserId ?? -1L;

    /// <summary>What counts as one: a process, or the connection where that is not known. Pools of the server's own process are a client each.</summary>
    public object Process => peer is { ProcessId: > 0, IsThisProcess: false } ? peer.ProcessId : this;

    /// <summary>Guarded by the budget's lock.</summary>
    public long Held { get; set; }

    /// <returns>False if there is no room: nothing was taken.</returns>
    public bool TryTake(long amount) => budget.TryTake(this, amount);

    /// <summary>Gives a part back. Nothing happens after <see cref="Dispose"/>, or once the share was taken away.</summary>
    public void Return(long amount) => budget.Return(this, amount);

    /// <summary>Gives back what it still holds.</summary>
    public void Dispose() => budget.Leave(this);

    internal void Drop(string reason) => drop(reason);
}
