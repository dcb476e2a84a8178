using System.Runtime.Versioning;
using LpLlm.Memory.Transport.Windows;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Windows;

/// <summary>At the server's end, which does all the work: it puts handles into the client's process, and takes them out of it.</summary>
/// <param name="client">The client's process, which handles may be duplicated into and out of.</param>
[SupportedOSPlatform("windows")]
internal sealed class ServerHandles(SafeProcessHandle client) : HandlePassing
{
    public override long Give(SafeFileHandle file) =>
        HandleCalls.Duplicate(HandleCalls.ThisProcess, file, client, out var number, 0, inherit: false, HandleCalls.SameAccess)
            ? number
            : throw HandleCalls.Failure("give a handle to the client");

    public override void TakeBack(long number)
    {
        if (HandleCalls.Duplicate(
            client, (nint)number, HandleCalls.ThisProcess, out var copy, 0, inherit: false, HandleCalls.SameAccess | HandleCalls.CloseSource))
        {
            copy.Dispose(); // else the client has ended, and its handles with it
        }
    }

    public override SafeFileHandle Take(long number) =>
        number > 0 && HandleCalls.Duplicate(
            client, (nint)number, HandleCalls.ThisProcess, out var copy, 0, inherit: false, HandleCalls.SameAccess | HandleCalls.CloseSource)
            ? copy
            : throw new FrameException($"{number} is no handle of the client.");
}
