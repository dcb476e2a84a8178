using System.Net.Sockets;
using LpLlm.Memory.Transport.Sockets;

namespace LpLlm.Memory.Transport.Pipes.Unix;

/// <summary>A listening Unix socket.</summary>
internal sealed class SocketDoor(Socket socket, SocketFile file, TimeSpan stuckTimeout, TimeProvider time) : PipeDoor
{
    public override async ValueTask<PipeLink> AcceptAsync(CancellationToken cancellationToken) =>
        new SocketLink(await socket.AcceptAsync(cancellationToken).ConfigureAwait(false), stuckTimeout, time);

    public override void Close()
    {
        socket.Dispose();
        file.Remove();
    }

    public override void Dispose()
    {
        Close();
        file.Dispose();
    }
}
