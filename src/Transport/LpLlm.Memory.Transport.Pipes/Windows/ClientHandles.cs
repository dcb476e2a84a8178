using System.Runtime.Versioning;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Windows;

/// <summary>
/// At the client's end: all numbers are those of its own process. What it gives is a copy that the server takes out of it, and closes here: so it does
/// not matter when the sender closes its own.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed class ClientHandles : HandlePassing
{
    public override long Give(SafeFileHandle file)
    {
        using var copy = Descriptors.Duplicate(file);
        var number = copy.DangerousGetHandle();
        copy.SetHandleAsInvalid(); // it is the server's to close
        return number;
    }

    public override void TakeBack(long number) => new SafeFileHandle((nint)number, ownsHandle: true).Dispose();

    public override SafeFileHandle Take(long number) =>
        number > 0 ? new SafeFileHandle((nint)number, ownsHandle: true) : throw new FrameException($"{number} is no handle.");
}
