using System.Net.Sockets;
using LpLlm.Memory.Transport.Sockets;

namespace LpLlm.Memory.Transport.Pipes.Unix;

/// <summary>Linux: Unix domain sockets. An end point is <c>pipe:///absolute/path</c>.</summary>
internal sealed class UnixPipes(PoolTransportLimits limits, TimeProvider time) : PipePlatform
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromMilliseconds(128);

    public override string FindName(Uri endPoint)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("The pipe transport runs on Linux and Windows only: use a grpc end point here.");
        }

        return endPoint.IsAbsoluteUri && endPoint.Scheme == PipeTransport.SchemeName && endPoint.Host.Length == 0
            && endPoint.LocalPath is ['/', .., not '/'] path
            && !path.Contains('\0', StringComparison.Ordinal) && endPoint.Query.Length + endPoint.Fragment.Length == 0
            ? path
            : throw new ArgumentException($"'{endPoint}' is not an end point of this transport: it must look like pipe:///run/sllm/pool.sock.", nameof(endPoint));
    }

    public override async ValueTask<PipeLink> ConnectAsync(Uri endPoint, string name, CancellationToken cancellationToken)
    {
        for (var retry = FirstRetry; ; retry = Backoff.Next(retry, LastRetry))
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(name), cancellationToken).ConfigureAwait(false);
                ServerUser.Check(socket, name, endPoint);
                return new SocketLink(socket, limits.ReadTimeout, time);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock)
            {
                // Its queue is full: unlike with TCP the kernel says so at once instead of waiting.
                socket.Dispose();
                await Task.Delay(retry, time, cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.AccessDenied)
            {
                socket.Dispose();
                throw new PoolFaultException(PoolFaultCode.PermissionDenied, $"This user may not connect to '{name}': run as the server's user.");
            }
            catch (SocketException e)
            {
                socket.Dispose();
                throw new PoolServerUnavailableException(endPoint.AbsoluteUri, "Nobody listens there: start the server first.", e);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    public override PipeDoor Bind(string name, bool isForOtherUsers)
    {
        var (socket, file) = SocketFile.Bind(name, isForOtherUsers);
        return new SocketDoor(socket, file, limits.ReadTimeout, time);
    }
}
