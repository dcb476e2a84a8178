using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store list</c>: the models that a daemon knows.</summary>
internal sealed class ListCommand : AdminCommand
{
    private readonly Option<bool> _json = new("--json") { Description = "Writes JSON." };

    public ListCommand()
        : base("list", "Lists the models that a running daemon has registered or in memory.") => Options.Add(_json);

    protected override async Task RunAsync(PoolAdmin daemon, ParseResult result, CancellationToken cancellationToken)
    {
        var (models, omitted) = await daemon.GetModelsAsync(cancellationToken).ConfigureAwait(false);
        if (result.GetValue(_json))
        {
            Report.WriteJson(models);
        }
        else
        {
            ModelReport.WriteTable(models);
        }

        if (omitted > 0)
        {
            await Console.Error.WriteLineAsync($"{omitted} further models are not shown: one message has no room for them.").ConfigureAwait(false);
        }
    }
}
