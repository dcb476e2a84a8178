using LpLlm.Memory.Transport.Windows;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>The user whom this process runs as.</summary>
internal static class ProcessUser
{
    /// <summary>As peers' users are numbered: <see cref="PoolPeer.UserId"/>.</summary>
    public static uint Id => OperatingSystem.IsWindows() ? WindowsUser.Id : SocketNative.GetUserId();
}
