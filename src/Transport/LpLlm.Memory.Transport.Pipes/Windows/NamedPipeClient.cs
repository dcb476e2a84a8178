using System.Globalization;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LpLlm.Memory.Transport.Windows;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Windows;

/// <summary>The process at the client's end of a named pipe.</summary>
/// <param name="stream">The server's end, connected just now.</param>
/// <param name="connected">When, as a file time: whatever process has the client's number and is younger is another one.</param>
[SupportedOSPlatform("windows")]
internal sealed class NamedPipeClient(NamedPipeServerStream stream, long connected) : IDisposable
{
    private const uint Rights = HandleCalls.MayDuplicateHandles | HandleCalls.MayQuery | HandleCalls.MayWait;

    private SafeProcessHandle? _process;

    /// <summary>How memory gets to it. After <see cref="Identify"/>.</summary>
    public HandlePassing Handles => new ServerHandles(_process ?? throw new InvalidOperationException("The client is not known yet."));

    /// <summary>Asks Windows who it is, and watches it.</summary>
    /// <exception cref="PoolFaultException">Another user's process, or one that this process may not give memory to.</exception>
    /// <exception cref="IOException">It is gone.</exception>
    public PoolPeer Identify()
    {
        if (!NamedPipeCalls.GetClientProcessId(stream.SafePipeHandle, out var processId))
        {
            throw HandleCalls.Failure("tell who has connected");
        }

        _process = HandleCalls.OpenProcess(Rights, inherit: false, processId);
        if (_process.IsInvalid)
        {
            throw Marshal.GetLastPInvokeError() == HandleCalls.AccessDenied
                ? Refusal($"The server may not give memory to process {processId}")
                : HandleCalls.Failure($"open process {processId}");
        }

        var created = WindowsProcess.ReadCreated(_process);
        if (created > connected)
        {
            throw new IOException($"The client is gone, and its number {processId} is another process's.");
        }

        // The pipe lets nobody else in; this is for memory that goes to the process, not to who opened the pipe.
        if (WindowsProcess.ReadUser(_process) != WindowsUser.Sid)
        {
            throw Refusal($"Process {processId} is another user's");
        }

        return new PoolPeer
        {
            Description = string.Create(CultureInfo.InvariantCulture, $"pid {processId} (uid {WindowsUser.Id})"),
            ProcessId = processId,
            UserId = WindowsUser.Id,
            PassesFiles = true,
            IsThisProcess = processId == Environment.ProcessId,
            Exited = WindowsProcess.WatchAsync(_process, processId, created),
        };
    }

    public void Dispose() => _process?.Dispose();

    private static PoolFaultException Refusal(string what) => new(
        PoolFaultCode.PermissionDenied, $"{what}: run server and client as one user, both as administrator or both not.");
}
