using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store status</c>: the daemon's figures.</summary>
internal sealed class StatusCommand : AdminCommand
{
    private readonly Option<bool> _json = new("--json") { Description = "Writes JSON." };

    public StatusCommand()
        : base("status", "Shows what a running daemon holds.") => Options.Add(_json);

    protected override async Task RunAsync(PoolAdmin daemon, ParseResult result, CancellationToken cancellationToken)
    {
        var status = await daemon.GetStatusAsync(cancellationToken).ConfigureAwait(false);
        if (result.GetValue(_json))
        {
            Report.WriteJson(status);
        }
        else
        {
            Report.WriteTable(status);
        }
    }
}
