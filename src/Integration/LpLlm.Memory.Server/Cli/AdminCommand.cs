using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;
using LpLlm.Memory.Server;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Pipes;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary>A command that talks to a running daemon over its socket.</summary>
internal abstract class AdminCommand : Command
{
    private readonly Option<string?> _socket = new("--socket")
    {
        Description = "The daemon's socket. Default: that of a daemon of this user that was started without --socket.",
        HelpName = "PATH",
    };

    protected AdminCommand(string name, string description)
        : base(name, description)
    {
        Options.Add(_socket);
        SetAction(RunAsync);
    }

    /// <summary>How long the daemon may take for all of it.</summary>
    protected virtual TimeSpan Deadline => TimeSpan.FromSeconds(10);

    protected abstract Task RunAsync(PoolAdmin daemon, ParseResult result, CancellationToken cancellationToken);

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var path = result.GetValue(_socket);
        var endPoint = new Uri(path is null ? RuntimeDirectory.DefaultEndPoint : PoolEndPoint.OfSocket(path));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Deadline);
        try
        {
            await using var daemon = await PoolAdmin.ConnectAsync(new PipeTransport(), endPoint, patience.Token).ConfigureAwait(false);
            await RunAsync(daemon, result, patience.Token).ConfigureAwait(false);
            return ExitCode.Success;
        }
        catch (Exception failure) when (failure is PoolFaultException or PinnedMemoryException)
        {
            await Console.Error.WriteLineAsync(failure.Message).ConfigureAwait(false);
            return ExitCode.Failure;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.Failure; // Ctrl-C needs no explanation
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"The daemon at {endPoint} did not answer within {Deadline.TotalSeconds:0} s.").ConfigureAwait(false);
            return ExitCode.Failure;
        }
    }
}
