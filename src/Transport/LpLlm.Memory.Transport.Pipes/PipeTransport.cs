using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Local pipes with System.IO.Pipelines framing, which pass memory from process to process.</summary>
/// <remarks>
/// On Linux these are Unix domain sockets, and descriptors travel by SCM_RIGHTS. End points are <c>pipe:///absolute/path</c>; the path's folder must
/// belong to the server's user or to root, and nobody else may exchange what lies in it.
/// On Windows these are named pipes, and the server duplicates handles into its client's process and out of it. End points are <c>pipe:///name</c> for
/// <c>\.\pipe\name</c>; a server serves its own user only.
/// Elsewhere <see cref="PlatformNotSupportedException"/> is thrown.
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
