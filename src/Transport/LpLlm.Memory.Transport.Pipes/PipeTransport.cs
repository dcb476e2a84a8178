using System.Net.Sockets;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Unix domain sockets with System.IO.Pipelines framing; descriptors travel by SCM_RIGHTS.</summary>
/// <remarks>
/// End points are <c>pipe:///absolute/path</c>. The path's folder must belong to the server's user or to root, and
/// nobody else may exchange what lies in it.
/// Linux only: elsewhere <see cref="PlatformNotSupportedException"/> is thrown, on Windows too, where named pipes would do the same but have
/// not been written.
/// </remarks>
internal sealed class PipeTransport(PoolTransportLimits? limits = null, TimeProvider? time = null, ILogger? logger = null) : PoolTransport
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromMilliseconds(128);

    private readonly PoolTransportLimits _limits = limits ?? new();
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly ILogger _logger = logger ?? NullLogger.Instance;

    public override string Scheme => "pipe";

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken)
    {
        var path = FindPath(endPoint);
        var socket = await ConnectAsync(endPoint, path, cancellationToken).ConfigureAwait(false);
        return await PipeChannel.OpenAsync(endPoint, socket, _limits, _time, cancellationToken).ConfigureAwait(false);
    }

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(handler);
        var path = FindPath(endPoint);
        cancellationToken.ThrowIfCancellationRequested();
        var (socket, file) = SocketFile.Bind(path, handler.AdmitsOtherUsers);
        return ValueTask.FromResult<PoolListener>(new PipeListener(endPoint, socket, file, handler, _limits, _time, _logger));
    }

    private async ValueTask<Socket> ConnectAsync(Uri endPoint, string path, CancellationToken cancellationToken)
    {
        for (var retry = FirstRetry; ; retry = retry * 2 < LastRetry ? retry * 2 : LastRetry)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
                ServerUser.Check(socket, path, endPoint);
                return socket;
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock)
            {
                // Its queue is full: unlike with TCP the kernel says so at once instead of waiting.
                socket.Dispose();
                await Task.Delay(retry, _time, cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.AccessDenied)
            {
                socket.Dispose();
                throw new PoolFaultException(PoolFaultCode.PermissionDenied, $"This user may not connect to '{path}': run as the server's user.");
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

    private string FindPath(Uri endPoint)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("The pipe transport runs on Linux only: use a grpc end point here.");
        }

        return endPoint.IsAbsoluteUri && endPoint.Scheme == Scheme && endPoint.Host.Length == 0 && endPoint.LocalPath is ['/', .., not '/'] path
            && !path.Contains('\0', StringComparison.Ordinal) && endPoint.Query.Length + endPoint.Fragment.Length == 0
            ? path
            : throw new ArgumentException($"'{endPoint}' is not an end point of this transport: it must look like pipe:///run/sllm/pool.sock.", nameof(endPoint));
    }
}
