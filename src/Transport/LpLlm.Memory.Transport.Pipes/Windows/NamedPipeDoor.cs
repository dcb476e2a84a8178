using System.IO.Pipes;
using System.Runtime.Versioning;

namespace LpLlm.Memory.Transport.Pipes.Windows;

/// <summary>
/// A named pipe's name, with one instance that waits for a client. Who connects while all are served finds that instance, as it would find a socket's
/// queue; who comes after it finds the pipe busy.
/// </summary>
/// <remarks>
/// A kernel event of the same name says who serves, not FILE_FLAG_FIRST_PIPE_INSTANCE: a client that holds its end of a dead server's pipe, because
/// it was stopped, would keep the next server from starting.
/// </remarks>
[SupportedOSPlatform("windows")]
internal sealed class NamedPipeDoor : PipeDoor
{
    private const int BufferBytes = 64 << 10;

    private readonly string _name;
    private readonly EventWaitHandle _claim;
    private readonly CancellationTokenSource _disposed = new();
    private NamedPipeServerStream? _waiting;
    private NamedPipeServerStream? _refusing;

    private NamedPipeDoor(string name, EventWaitHandle claim)
    {
        _name = name;
        _claim = claim;
        _waiting = CreateInstance();
    }

    /// <exception cref="InvalidOperationException">Another server listens there.</exception>
    public static NamedPipeDoor Open(string name)
    {
        EventWaitHandle claim;
        bool isNew;
        try
        {
            // Of the machine, as pipes are; in capitals, since pipes' names do not tell cases apart.
            claim = new EventWaitHandle(initialState: false, EventResetMode.ManualReset, $@"Global\lpllm-pipe-{name.ToUpperInvariant()}", out isNew);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or WaitHandleCannotBeOpenedException or IOException)
        {
            throw Taken(name, e);
        }

        try
        {
            return isNew ? new NamedPipeDoor(name, claim) : throw Taken(name, cause: null);
        }
        catch (Exception e)
        {
            claim.Dispose();
            throw e is UnauthorizedAccessException or IOException ? Taken(name, e) : e;
        }
    }

    public override async ValueTask<PipeLink> AcceptAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var waiting = _waiting ??= CreateInstance();
            try
            {
                await waiting.WaitForConnectionAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (IOException e)
            {
                _waiting = null;
                await waiting.DisposeAsync().ConfigureAwait(false);
                if (e.HResult == NamedPipeCalls.ClientIsGone)
                {
                    continue;
                }

                throw;
            }

            _waiting = TryCreateInstance(); // before the other is served: the name must not vanish with a client that leaves at once
            return new NamedPipeLink(waiting, new NamedPipeClient(waiting, DateTime.UtcNow.ToFileTimeUtc()));
        }
    }

    /// <summary>
    /// The pipe is there as long as one client is served: without an instance that hangs up on others, they would find it busy, and wait for their turn.
    /// </summary>
    public override void Close()
    {
        if (_refusing is null && !_disposed.IsCancellationRequested && (_refusing = TryCreateInstance()) is not null)
        {
            _ = RefuseAsync();
        }

        _waiting?.Dispose();
        _waiting = null;
    }

    public override void Dispose()
    {
        Close();
        _disposed.Cancel();
        _refusing?.Dispose();
        _claim.Dispose();
    }

    private static InvalidOperationException Taken(string name, Exception? cause) => new(
        $@"Another server listens at \\.\pipe\{name}, of this user or another one: stop it, or choose another name.", cause);

    private async Task RefuseAsync()
    {
        while (_refusing is { } refusing)
        {
            try
            {
                await refusing.WaitForConnectionAsync(_disposed.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
            {
                // It went by itself, or the door is gone.
            }

            _refusing = _disposed.IsCancellationRequested ? null : TryCreateInstance();
            await refusing.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Null where Windows has no more: the next to accept tries again, and is told.</summary>
    private NamedPipeServerStream? TryCreateInstance()
    {
        try
        {
            return CreateInstance();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private NamedPipeServerStream CreateInstance() => new(
        _name, PipeDirection.InOut, NamedPipeServerStream.MaxAllowedServerInstances, PipeTransmissionMode.Byte,
        PipeOptions.Asynchronous | PipeOptions.CurrentUserOnly, BufferBytes, BufferBytes);
}
