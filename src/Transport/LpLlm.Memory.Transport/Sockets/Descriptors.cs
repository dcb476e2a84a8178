using LpLlm.Memory.Transport.Windows;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>What the operating system calls descriptors (Linux) or handles (Windows).</summary>
internal static class Descriptors
{
    /// <summary>Whether they can lead to memory that is shared.</summary>
    public static bool AreSupported => OperatingSystem.IsLinux() || OperatingSystem.IsWindows();

    /// <summary>A second one of the same file, which child processes do not inherit.</summary>
    /// <exception cref="IOException">The process has none left.</exception>
    public static SafeFileHandle Duplicate(SafeFileHandle file)
    {
        if (!OperatingSystem.IsWindows())
        {
            return SocketNative.Duplicate(file);
        }

        return HandleCalls.Duplicate(HandleCalls.ThisProcess, file, HandleCalls.ThisProcess, out var copy, 0, inherit: false, HandleCalls.SameAccess)
            ? new SafeFileHandle(copy, ownsHandle: true)
            : throw HandleCalls.Failure("duplicate a handle");
    }
}
