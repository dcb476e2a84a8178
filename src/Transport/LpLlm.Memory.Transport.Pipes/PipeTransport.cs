using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Unix domain sockets with System.IO.Pipelines framing; descriptors travel by SCM_RIGHTS.</summary>
/// <remarks>
/// End points are <c>pipe:///absolute/path</c>. The path's folder must belong to the server's user or to root, and
/// nobody else may exchange what lies in it.
/// Linux only: elsewhere <see cref="PlatformNotSupportedException"/> is thrown.
/// </remarks>
internal sealed class PipeTransport : PoolTransport
{
    public const string SchemeName = "pipe";

    private readonly PoolTransportLimits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly PipePlatform _platform;

    public PipeTransport(PoolTransportLimits? limits = null, TimeProvider? time = null, ILogger? logger = null)
    {
        _limits = limits ?? new();
        _time = time ?? TimeProvider.System;
        _logger = logger ?? NullLogger.Instance;
        _platform = PipePlatform.Create(_limits, _time);
    }

    public override string Scheme => SchemeName;

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        var link = await _platform.ConnectAsync(endPoint, _platform.FindName(endPoint), cancellationToken).ConfigureAwait(false);
        return await PipeChannel.OpenAsync(endPoint, link, _limits, _time, cancellationToken).ConfigureAwait(false);
    }

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        ArgumentNullException.ThrowIfNull(handler);
        var name = _platform.FindName(endPoint);
        cancellationToken.ThrowIfCancellationRequested();
        var door = _platform.Bind(name, handler.AdmitsOtherUsers);
        return ValueTask.FromResult<PoolListener>(new PipeListener(endPoint, door, handler, _limits, _time, _logger));
    }
}
