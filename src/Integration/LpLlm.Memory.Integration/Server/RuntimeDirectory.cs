using System.Runtime.InteropServices;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport.Sockets;
using LpLlm.Memory.Transport.Windows;

namespace LpLlm.Memory.Server;

/// <summary>Where a server listens unless told otherwise: in a folder that nobody but its user can enter, or on Windows at a pipe named after its user.</summary>
internal static class RuntimeDirectory
{
    private const string Name = "sllm-store";
    private const int KindMask = 0xF000;
    private const int Folder = 0x4000;
    private const int OthersMask = 0x3F;

    /// <summary>The end point of a server and its clients that name none.</summary>
    public static string DefaultEndPoint => OperatingSystem.IsWindows()
        ? $"pipe:///{Name}-{WindowsUser.Sid}"
        : PoolEndPoint.OfSocket(System.IO.Path.Combine(Path, "pool.sock"));

    /// <summary>$XDG_RUNTIME_DIR/sllm-store; without that, /run/sllm-store for root and /tmp/sllm-store-uid for others.</summary>
    public static string Path
    {
        get
        {
            var user = SocketNative.GetUserId();
            return Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } parent && System.IO.Path.IsPathRooted(parent)
                ? System.IO.Path.Combine(parent, Name)
                : user == 0 ? $"/run/{Name}" : $"/tmp/{Name}-{user}";
        }
    }

    /// <summary>Makes sure that the default end point can be listened at. A Windows pipe lies in no folder.</summary>
    /// <exception cref="InvalidOperationException">Its folder is a link, another user's, or open to others.</exception>
    public static void EnsureDefault()
    {
        if (!OperatingSystem.IsWindows())
        {
            Ensure(Path);
        }
    }

    /// <summary>Makes the folder, or checks the one that is there: in /tmp anybody may have made it.</summary>
    /// <exception cref="InvalidOperationException">It is a link, another user's, or open to others.</exception>
    public static void Ensure(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            throw new PlatformNotSupportedException("A pool server has no folder on Windows: its pipe has a name.");
        }

        const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        if (!Directory.Exists(path))
        {
            Directory.CreateDirectory(path, Private);
        }

        // Of the name itself, not of what a link leads to. Nobody else can exchange it afterwards: /tmp is sticky, and the others are ours.
        if (Libc.GetStatus(Libc.WorkingFolder, path, Libc.LookAtLink, Libc.StatusBasics, out var status) != 0)
        {
            throw new InvalidOperationException($"{path} cannot be looked at ({Marshal.GetLastPInvokeErrorMessage()}).");
        }

        var user = SocketNative.GetUserId();
        var fault = (status.Mode & KindMask) != Folder ? "is not a folder"
            : status.UserId != user ? $"belongs to user {status.UserId}, not to {user}"
            : (status.Mode & OthersMask) != 0 ? $"is open to other users (mode {Convert.ToString(status.Mode & 0xFFF, 8)})"
            : null;
        if (fault is not null)
        {
            throw new InvalidOperationException(
                $"{path} {fault}, so it is no safe place for a server's socket: remove it or chmod it to 700, or name another end point.");
        }
    }
}
