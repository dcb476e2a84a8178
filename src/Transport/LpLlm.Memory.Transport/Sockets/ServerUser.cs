using System.Buffers.Binary;
using System.Net.Sockets;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>Checks, on the client's side, that who listens at a Unix socket is not an impostor: anybody may make a folder in /tmp under another's name.</summary>
internal static class ServerUser
{
    private const int WritableByOthers = 0x12; // 0022

    /// <summary>Trusted are root, this process's user, and the user whom the socket's place belongs to.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="path">Where to.</param>
    /// <param name="endPoint">For the message.</param>
    /// <exception cref="PoolProtocolException">Another user listens there.</exception>
    public static void Check(Socket socket, string path, Uri endPoint)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        Span<byte> credentials = stackalloc byte[12];
        var length = socket.GetRawSocketOption(SocketNative.SocketLevel, SocketNative.PeerCredentials, credentials);
        var user = length == credentials.Length ? BinaryPrimitives.ReadUInt32LittleEndian(credentials[4..]) : uint.MaxValue;
        if (user is uint.MaxValue || (user != 0 && user != SocketNative.GetUserId() && !IsPlaceOf(user, path)))
        {
            throw new PoolProtocolException(
                endPoint.OriginalString,
                $"User {user} listens there, who is neither root nor this user, nor the owner of a folder that others could not have made: it may be an impostor. "
                + "Start a server of your own, or use one whose socket lies in a folder of its user outside of /tmp.");
        }
    }

    /// <summary>Whether the folder is the user's, and nobody but root, this user and that one can exchange it or what it lies in.</summary>
    private static bool IsPlaceOf(uint user, string path)
    {
        var folder = Path.GetDirectoryName(path);
        if (folder is null || Look(folder) is not { } own || own.UserId != user)
        {
            return false;
        }

        for (; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (Look(folder) is not { } status
                || (status.Mode & WritableByOthers) != 0
                || (status.UserId != 0 && status.UserId != user && status.UserId != SocketNative.GetUserId()))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A "/." follows a link at the end: the folder itself is meant.</summary>
    private static SocketNative.FileStatus? Look(string folder) => SocketNative.GetStatus(Path.Combine(folder, "."));
}
