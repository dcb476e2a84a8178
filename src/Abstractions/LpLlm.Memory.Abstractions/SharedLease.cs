namespace LpLlm.Memory;

/// <summary>
/// Memory that several processes of one user have at the same time: the same pages, so that what one writes the others read, and nothing is copied.
/// Rented and opened through <see cref="IServerPool"/>.
/// </summary>
/// <remarks>
/// <para>
/// All holders may read and write, and are equal: the memory goes back, and is overwritten with zeros, when the last of them has disposed its lease or is
/// gone, whoever rented it. What was written before a process died is there afterwards.
/// </para>
/// <para>
/// Writes become visible to other processes in no order that may be relied on but that of the processes' own synchronisation: a message sent
/// behind the write, say, and received before the read. <see cref="Volatile"/> and <see cref="Interlocked"/> on aligned words of the memory work between
/// processes as they do between threads; locks and references of .NET do not.
/// </para>
/// <para>Members may be used from several threads.</para>
/// </remarks>
public sealed class SharedLease : IDisposable
{
    /// <summary>Creates it. Called by pools, not by their users.</summary>
    /// <param name="lease">The memory in this process.</param>
    /// <param name="token">By which others open it.</param>
    public SharedLease(PinnedLease lease, string token)
    {
        ArgumentNullException.ThrowIfNull(lease);
        ArgumentNullException.ThrowIfNull(token);
        (Lease, Token) = (lease, token);
    }

    /// <summary>
    /// The memory in this process, as that of any other lease: spans, addresses, copies to and from devices. Its address differs from process to process,
    /// its length does not. Returning it is disposing this.
    /// </summary>
    public PinnedLease Lease { get; }

    /// <summary>
    /// What <see cref="IServerPool.OpenSharedAsync"/> needs, in any process of the same user, as long as one holds the memory: 48 hexadecimal digits.
    /// A secret: whoever has it, and is that user, can write to the memory. Send it by ways that only such processes can read, and log it nowhere.
    /// </summary>
    public string Token { get; }

    /// <summary>Lets go of the memory in this process; others keep it. The second call is a no-op.</summary>
    /// <exception cref="InvalidOperationException">A copy is on its way; the lease is as before.</exception>
    public void Dispose() => Lease.Dispose();
}
