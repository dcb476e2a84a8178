using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store load</c>: brings a model into a daemon's memory.</summary>
internal sealed class LoadCommand : AdminCommand
{
    private readonly Option<string> _model = new("--model")
    {
        Description = "Path of the model under the daemon's storage path, such as llama/7b.",
        Required = true,
    };

    private readonly Option<bool> _json = new("--json") { Description = "Writes JSON." };

    public LoadCommand()
        : base("load", "Loads a model into a running daemon's memory, and says how long it took.")
    {
        Options.Add(_model);
        Options.Add(_json);
    }

    /// <summary>A load takes as long as the disk does; whoever has no patience presses Ctrl-C.</summary>
    protected override TimeSpan Deadline => Timeout.InfiniteTimeSpan;

    protected override async Task RunAsync(PoolAdmin daemon, ParseResult result, CancellationToken cancellationToken)
    {
        var (model, wasLoaded) = await daemon.LoadAsync(result.GetRequiredValue(_model), cancellationToken).ConfigureAwait(false);
        if (result.GetValue(_json))
        {
            Report.WriteJson(model);
        }
        else
        {
            await Console.Out.WriteLineAsync(ModelReport.Line(model, wasLoaded)).ConfigureAwait(false);
        }
    }
}
