using LpLlm.Memory.Transport.Devices;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Turns messages into calls of the engine. One for all listeners of a server.</summary>
/// <param name="engine">What the calls are made on.</param>
/// <param name="policy">Whom to let in.</param>
/// <param name="logger">For refusals and sessions.</param>
/// <param name="time">The engine's clock, where it is not the system's.</param>
/// <param name="devices">From and to which the server copies for its clients; null: none. Their driver is loaded when a client first asks.</param>
/// <param name="models">The server's model store; null: it has none.</param>
internal sealed class PoolService(
    PoolEngine engine, PoolServicePolicy policy, ILogger logger, TimeProvider? time = null, IDeviceSet? devices = null, IModelService? models = null)
    : IPoolConnectionHandler, IPoolEngineHost, IDisposable
{
    /// <summary>What the kernel answers where there is no user: -1 must not count as anybody, whatever is configured.</summary>
    private const uint NoUser = uint.MaxValue;

    private readonly DeviceCopyService _copies = new(engine, devices, time ?? TimeProvider.System, logger);

    public bool AdmitsOtherUsers => policy.AllowedUsers.Count > 0;

    PoolEngine IPoolEngineHost.Engine => engine;

    IModelService? IPoolEngineHost.Models => models;

    /// <exception cref="PoolFaultException">The user may not connect.</exception>
    public IPoolConnection Accept(PoolPeer peer)
    {
        // A listener whose connections have no user has checked a token, or that they come from this host.
        if (peer.UserId is { } user && !IsAllowed(user))
        {
            TransportLog.PeerRefused(logger, peer.Description, user);
            throw new PoolFaultException(
                PoolFaultCode.PermissionDenied,
                $"User {user} may not use this pool server. Add the user to AllowedUsers, or run the client as the server's user.");
        }

        return new PoolServiceConnection(engine, models, _copies, policy, peer, logger, time ?? TimeProvider.System);
    }

    /// <summary>Gives the devices back, after the engine's end.</summary>
    public void Dispose() => _copies.Dispose();

    private bool IsAllowed(uint user) =>
        user != NoUser && (user == 0 || user == policy.OwnUserId || policy.AllowedUsers.Contains(user));
}
