namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Where a server's clients come in: a name that it alone has until disposal.</summary>
internal abstract class PipeDoor : IDisposable
{
    /// <summary>Waits for a client. One call at a time.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">A Unix socket cannot accept: no descriptor is left, for one.</exception>
    /// <exception cref="IOException">A named pipe cannot.</exception>
    public abstract ValueTask<PipeLink> AcceptAsync(CancellationToken cancellationToken);

    /// <summary>Lets nobody in any more: who comes finds no server. The name stays taken.</summary>
    public abstract void Close();

    /// <summary>Closes, and gives the name away.</summary>
    public abstract void Dispose();
}
