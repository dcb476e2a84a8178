using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.Principal;

namespace LpLlm.Memory.Transport.Pipes.Windows;

/// <summary>Windows: named pipes of this user. An end point is <c>pipe:///name</c>, the pipe <c>\\.\pipe\name</c>.</summary>
[SupportedOSPlatform("windows")]
internal sealed class NamedPipes(TimeProvider time) : PipePlatform
{
    /// <summary>Windows allows 256 characters with the prefix; the rest is left for the event's.</summary>
    private const int MaxNameLength = 200;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromMilliseconds(128);

    public override string FindName(Uri endPoint) =>
        endPoint.IsAbsoluteUri && endPoint.Scheme == PipeTransport.SchemeName && endPoint.Host.Length == 0
        && endPoint.LocalPath is ['/', .. { Length: > 0 and <= MaxNameLength } name]
        && !name.Any(character => character is '/' or '\\' || char.IsControl(character)) && endPoint.Query.Length + endPoint.Fragment.Length == 0
            ? name
            : throw new ArgumentException(
                $"'{endPoint}' is not an end point of this transport on Windows: it must look like pipe:///sllm-store, with a name of at most {MaxNameLength} "
                + "characters and no folders.",
                nameof(endPoint));

    public override async ValueTask<PipeLink> ConnectAsync(Uri endPoint, string name, CancellationToken cancellationToken)
    {
        for (var retry = FirstRetry; ; retry = Backoff.Next(retry, LastRetry))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var handle = NamedPipeCalls.Open($@"\\.\pipe\{name}");
            var error = Marshal.GetLastPInvokeError();
            if (!handle.IsInvalid)
            {
                var stream = new NamedPipeClientStream(PipeDirection.InOut, isAsync: true, isConnected: true, handle);
                CheckServer(stream, endPoint);
                return new NamedPipeLink(stream, client: null);
            }

            handle.Dispose();
            switch (error)
            {
                case NamedPipeCalls.PipeBusy:
                    await Task.Delay(retry, time, cancellationToken).ConfigureAwait(false);
                    break;
                case NamedPipeCalls.AccessDenied:
                    throw new PoolFaultException(
                        PoolFaultCode.PermissionDenied, $"This process may not connect to '{name}': run as the server's user, both as administrator or both not.");
                default:
                    throw new PoolServerUnavailableException(
                        endPoint.AbsoluteUri, $"Nobody listens there (error {error}): start the server first.");
            }
        }
    }

    public override PipeDoor Bind(string name, bool isForOtherUsers) => isForOtherUsers
        ? throw new InvalidOperationException("On Windows a pool server serves its own user only: leave AllowedUsers empty, and run a server for each user.")
        : NamedPipeDoor.Open(name);

    /// <summary>Anybody may have made a pipe of that name first. What a user makes is its own, or the administrators' if it is one at that moment.</summary>
    private static void CheckServer(NamedPipeClientStream stream, Uri endPoint)
    {
        try
        {
            using var identity = WindowsIdentity.GetCurrent();
            var owner = stream.GetAccessControl().GetOwner(typeof(SecurityIdentifier));
            if (owner is null || (owner != identity.User && owner != identity.Owner))
            {
                throw new PoolProtocolException(
                    endPoint.OriginalString, $"{owner} made the pipe, not this user: it may be an impostor. Start a server of your own, under another name.");
            }
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }
}
