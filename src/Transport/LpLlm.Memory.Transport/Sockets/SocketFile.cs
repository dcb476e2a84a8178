using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>The name of a listening Unix socket: one server has it at a time, and nobody takes it away unnoticed.</summary>
/// <remarks>
/// A lock beside it (<c>path.lock</c>), held for life, says who serves: a socket's file alone tells nothing, since it outlives its server. The
/// socket is bound under another name and renamed into place, so that an older server's disposal, which unlinks the name it was bound to, never
/// removes a newer server's file.
/// </remarks>
internal sealed class SocketFile : IDisposable
{
    /// <summary>struct sockaddr_un takes 107 bytes and a zero; the name under which a socket is bound has one more than the path.</summary>
    public const int MaxPathBytes = 106;

    private const int Backlog = 512;
    private const uint OwnerOnly = 0x180;      // 0600
    private const uint Everybody = 0x1B6;      // 0666
    private const int WritableByOthers = 0x12; // 0022
    private const int Sticky = 0x200;

    private readonly string _path;
    private readonly SafeFileHandle _lock;
    private readonly SocketNative.FileStatus _status;
    private volatile int _disposed;

    private SocketFile(string path, SafeFileHandle lockFile, SocketNative.FileStatus status) => (_path, _lock, _status) = (path, lockFile, status);

    /// <summary>Binds a socket that listens at the path.</summary>
    /// <param name="path">Absolute, at most 106 bytes. Its folder is made if it is not there.</param>
    /// <param name="isForOtherUsers">Whether every user can connect, and the server decides; else only its own user and root can.</param>
    /// <exception cref="InvalidOperationException">Another server listens there, or the path is not safe to listen at.</exception>
    public static (Socket Socket, SocketFile File) Bind(string path, bool isForOtherUsers)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("Listening at a Unix socket needs Linux.");
        }

        if (!Path.IsPathRooted(path) || Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
        {
            throw new InvalidOperationException($"'{path}' is no path for a socket: it must start with '/', and have at most {MaxPathBytes} bytes.");
        }

        try
        {
            CheckDirectory(Path.GetDirectoryName(path)!, isForOtherUsers);
            var lockFile = Lock(path);
            try
            {
                CheckOld(path);
                var (socket, status) = Listen(path, isForOtherUsers ? Everybody : OwnerOnly);
                return (socket, new SocketFile(path, lockFile, status));
            }
            catch
            {
                lockFile.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException)
        {
            throw new InvalidOperationException($"The server cannot listen at {path}: {e.Message}", e);
        }
    }

    /// <summary>Removes the file, if it is still this one: nobody finds the server any more. The lock stays.</summary>
    public void Remove()
    {
        // Without the lock, the file may be another server's with the same number.
        if (_disposed == 0 && SocketNative.GetStatus(_path) is { } now && now.Inode == _status.Inode && now.Device == _status.Device)
        {
            File.Delete(_path);
        }
    }

    /// <summary>Removes the file, if it is still this one, and lets go of the lock, whose own file stays: else two servers could lock two files.</summary>
    public void Dispose()
    {
        Remove();
        _disposed = 1;
        _lock.Dispose();
    }

    /// <summary>Nobody else may exchange what lies in it. Where everybody may write (/tmp), the sticky bit sees to that.</summary>
    private static void CheckDirectory(string path, bool isForOtherUsers)
    {
        if (!OperatingSystem.IsWindows())
        {
            const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;
            Directory.CreateDirectory(path, isForOtherUsers ? Own | Others : Own);
        }

        // A "/." follows a link at the end: the folder itself is meant.
        var status = SocketNative.GetStatus(Path.Combine(path, ".")) ?? throw new InvalidOperationException($"There is no folder {path}.");
        if ((status.UserId != 0 && status.UserId != SocketNative.GetUserId()) || ((status.Mode & WritableByOthers) != 0 && (status.Mode & Sticky) == 0))
        {
            throw new InvalidOperationException(
                $"{path} belongs to user {status.UserId} and has mode {Convert.ToString(status.Mode & 0xFFF, 8)}: others could exchange the socket. Use a folder of your own that only you can write to (chmod go-w).");
        }
    }

    private static SafeFileHandle Lock(string path)
    {
        var name = $"{path}.lock";
        var file = SocketNative.Open(name, SocketNative.OpenReadWrite | SocketNative.OpenCreate | SocketNative.OpenCloseOnExec | SocketNative.OpenNoFollow, OwnerOnly);
        if (file < 0)
        {
            throw SocketNative.Failure($"open {name}");
        }

        var handle = new SafeFileHandle(file, ownsHandle: true);
        try
        {
            Span<byte> text = stackalloc byte[16];
            if (SocketNative.Lock(handle, SocketNative.LockExclusiveNow) != 0)
            {
                if (Marshal.GetLastPInvokeError() != SocketNative.WouldBlock)
                {
                    throw SocketNative.Failure($"lock {name}");
                }

                var owner = Encoding.ASCII.GetString(text[..RandomAccess.Read(handle, text, 0)]);
                throw new InvalidOperationException($"Another server (process {owner}) listens at {path}. Stop it, or choose another path.");
            }

            RandomAccess.SetLength(handle, 0);
            RandomAccess.Write(handle, Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)), 0);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>What lies there may be replaced if it is a socket that nobody listens at.</summary>
    private static void CheckOld(string path)
    {
        if (SocketNative.GetStatus(path) is not { } old)
        {
            return;
        }

        if (!old.IsSocket)
        {
            throw new InvalidOperationException($"{path} exists and is no socket. Remove it, or choose another path.");
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused)
        {
            return;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock)
        {
            // Its backlog is full: somebody listens.
        }

        throw new InvalidOperationException($"Another program listens at {path}. Stop it, or choose another path.");
    }

    /// <summary>Bound to a name of its own and then renamed: clients find the old socket or the new one, never none or one that is not ready.</summary>
    private static (Socket Socket, SocketNative.FileStatus Status) Listen(string path, uint mode)
    {
        // The lock's holder alone uses that name. What is there and is no socket is not ours: then the name cannot be bound.
        var temporary = path + "~";
        if (SocketNative.GetStatus(temporary) is { IsSocket: true })
        {
            File.Delete(temporary);
        }

        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            // Before it has a name: there is no moment at which others could connect.
            if (SocketNative.ChangeMode(socket.SafeHandle, OwnerOnly) != 0)
            {
                throw SocketNative.Failure("set a socket's mode");
            }

            socket.Bind(new UnixDomainSocketEndPoint(temporary));
            if (mode != OwnerOnly && SocketNative.ChangeMode(temporary, mode) != 0)
            {
                throw SocketNative.Failure("set a socket's mode");
            }

            socket.Listen(Backlog);
            var status = SocketNative.GetStatus(temporary) ?? throw new IOException($"{temporary} was removed by another program.");
            File.Move(temporary, path, overwrite: true);
            return (socket, status);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
