namespace LpLlm.Memory.Transport.Engine;

/// <summary>What a session got. The segments are the lease's (after a growth: the new ones), in order.</summary>
/// <remarks>
/// The segments' descriptors stay open at least until <see cref="Dispose"/>, which the caller owes once the reply is on its way: a lease may be
/// revoked or its client die meanwhile.
/// </remarks>
internal sealed class LeaseGrant(ulong leaseId, Token token, IReadOnlyList<GrantedSegment> segments, Action release) : IDisposable
{
    private Action? _release = release;

    public ulong LeaseId { get; } = leaseId;

    /// <summary>Whoever knows it may attach.</summary>
    public Token Token { get; } = token;

    public IReadOnlyList<GrantedSegment> Segments { get; } = segments;

    public void Dispose() => Interlocked.Exchange(ref _release, null)?.Invoke();
}
