using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store unload</c>: takes a model out of a daemon's memory.</summary>
internal sealed class UnloadCommand : AdminCommand
{
    private readonly Option<string> _model = new("--model")
    {
        Description = "Path of the model under the daemon's storage path.",
        Required = true,
    };

    public UnloadCommand()
        : base("unload", "Takes a model that nobody has open out of a running daemon's memory; for root and the daemon's user.") => Options.Add(_model);

    /// <summary>A load that runs is waited for.</summary>
    protected override TimeSpan Deadline => Timeout.InfiniteTimeSpan;

    protected override async Task RunAsync(PoolAdmin daemon, ParseResult result, CancellationToken cancellationToken)
    {
        var model = result.GetRequiredValue(_model);
        await daemon.UnloadAsync(model, cancellationToken).ConfigureAwait(false);
        await Console.Out.WriteLineAsync($"Model '{model}' is unloaded.").ConfigureAwait(false);
    }
}
