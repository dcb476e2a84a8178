using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>
/// A server's hold on a socket's path. A lock file beside it, held for life, says who serves: so a socket file that nobody serves is replaced,
/// and one that is served never is. Only this server's own file is deleted at the end.
/// </summary>
internal sealed class SocketPath : IDisposable
{
    /// <summary>struct sockaddr_un takes 107 bytes and a zero; the name under which a socket is bound has one more than the path.</summary>
    public const int MaxBytes = 106;

    private const int FileTypeMask = 0xF000;
    private const int DirectoryType = 0x4000;
    private const int WritableByOthers = 0x12;
    private const uint OwnerOnly = 0x180;

    private readonly string _path;
    private readonly SafeFileHandle _lock;
    private readonly (ulong Device, ulong Number) _file;

    private SocketPath(string path, SafeFileHandle lockFile, Socket socket, (ulong Device, ulong Number) file)
    {
        _path = path;
        _lock = lockFile;
        Socket = socket;
        _file = file;
    }

    /// <summary>Bound and listening.</summary>
    public Socket Socket { get; }

    /// <summary>Locks the path and listens at it.</summary>
    /// <exception cref="InvalidOperationException">It is served already, or not safe to serve at.</exception>
    public static SocketPath Listen(string path)
    {
        CheckLength(path);
        CheckDirectory(path);
        var lockFile = Lock(path);
        try
        {
            return Bind(path, lockFile);
        }
        catch
        {
            lockFile.Dispose();
            throw;
        }
    }

    /// <summary>Stops listening and deletes the file if it is this server's own; the lock stays.</summary>
    public void StopListening()
    {
        Socket.Dispose();
        if (TryStat(_path, out var status) && (status.Device, status.FileNumber) == _file)
        {
            File.Delete(_path);
        }
    }

    public void Dispose()
    {
        // Behind the lock: nobody else may own the path yet. The lock file stays; deleting it would let two servers lock two files.
        if (!_lock.IsClosed)
        {
            StopListening();
            _lock.Dispose();
        }
    }

    private static void CheckLength(string path)
    {
        if (Encoding.UTF8.GetByteCount(path) > MaxBytes)
        {
            throw new InvalidOperationException($"The socket path '{path}' is longer than {MaxBytes} bytes: choose a shorter one.");
        }
    }

    private static void CheckDirectory(string path)
    {
        var directory = Path.GetDirectoryName(path)!;
        if (!TryStat(directory, out var status) || (status.Mode & FileTypeMask) != DirectoryType)
        {
            throw new InvalidOperationException($"The directory '{directory}' of the socket does not exist: create it for this user only (mkdir -m 700).");
        }

        if (status.UserId != SocketNative.GetUserId())
        {
            throw new InvalidOperationException(
                $"The directory '{directory}' of the socket belongs to user {status.UserId}, not to this server's user {SocketNative.GetUserId()}: use one of its own.");
        }

        if ((status.Mode & WritableByOthers) != 0)
        {
            throw new InvalidOperationException($"Others may write to the directory '{directory}' of the socket, and so replace it: run chmod go-w on it.");
        }
    }

    private static SafeFileHandle Lock(string path)
    {
        var name = path + ".lock";
        var file = PipesNative.Open(name, PipesNative.OpenReadWrite | PipesNative.OpenCreate | PipesNative.OpenCloseOnExec | PipesNative.OpenNoFollow, OwnerOnly);
        if (file < 0)
        {
            throw new InvalidOperationException($"The lock file '{name}' cannot be opened.", SocketNative.Failure("open it"));
        }

        var lockFile = new SafeFileHandle(file, ownsHandle: true);
        try
        {
            while (PipesNative.Lock(lockFile, PipesNative.LockExclusiveNow) != 0)
            {
                var error = Marshal.GetLastPInvokeError();
                if (error != SocketNative.Interrupted)
                {
                    throw error == SocketNative.WouldBlock
                        ? new InvalidOperationException($"'{path}' is already served by process {ReadHolder(lockFile)}: stop it first, or choose another path.")
                        : new InvalidOperationException($"The lock file '{name}' cannot be locked.", SocketNative.Failure("lock it", error));
                }
            }

            RandomAccess.SetLength(lockFile, 0);
            RandomAccess.Write(lockFile, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}\n")), 0);
            return lockFile;
        }
        catch
        {
            lockFile.Dispose();
            throw;
        }
    }

    /// <summary>For people only: the lock says who serves, not the number in it.</summary>
    private static string ReadHolder(SafeFileHandle lockFile)
    {
        Span<byte> text = stackalloc byte[32];
        var length = RandomAccess.Read(lockFile, text, 0);
        return int.TryParse(text[..length].TrimEnd((byte)'\n'), CultureInfo.InvariantCulture, out var processId)
            ? processId.ToString(CultureInfo.InvariantCulture)
            : "(unknown)";
    }

    /// <summary>Bound to a name of its own and then renamed: clients find the old socket or the new one, never none or one that is not ready.</summary>
    private static SocketPath Bind(string path, SafeFileHandle lockFile)
    {
        if (Directory.Exists(path))
        {
            throw new InvalidOperationException($"'{path}' is a directory: give the path of a socket in it.");
        }

        var name = path + "~";
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            File.Delete(name);

            // Before it has a name: afterwards others could connect meanwhile.
            if (PipesNative.ChangeMode(socket.SafeHandle, OwnerOnly) != 0)
            {
                throw SocketNative.Failure("restrict a socket to its user");
            }

            socket.Bind(new UnixDomainSocketEndPoint(name));
            socket.Listen(512);
            if (!TryStat(name, out var status))
            {
                throw SocketNative.Failure($"find the socket '{name}' that was just made");
            }

            File.Move(name, path, overwrite: true);
            return new SocketPath(path, lockFile, socket, (status.Device, status.FileNumber));
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw new InvalidOperationException($"No socket can be made at '{path}': {e.Message}", e);
        }
    }

    private static unsafe bool TryStat(string path, out PipesNative.FileStatus status)
    {
        fixed (PipesNative.FileStatus* pointer = &status)
        {
            return PipesNative.Stat(PipesNative.CurrentDirectory, path, PipesNative.NoFollow, PipesNative.StatBasic, pointer) == 0;
        }
    }
}
