using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store leases</c>: who holds what.</summary>
internal sealed class LeasesCommand : AdminCommand
{
    private readonly Option<bool> _json = new("--json") { Description = "Writes JSON." };

    public LeasesCommand()
        : base("leases", "Lists the leases of a running daemon: all for root and the daemon's user, else none.") => Options.Add(_json);

    protected override async Task RunAsync(PoolAdmin daemon, ParseResult result, CancellationToken cancellationToken)
    {
        var (leases, omitted) = await daemon.GetLeasesAsync(cancellationToken).ConfigureAwait(false);
        if (result.GetValue(_json))
        {
            Report.WriteJson(leases);
        }
        else
        {
            Report.WriteTable(leases);
        }

        if (omitted > 0)
        {
            await Console.Error.WriteLineAsync($"{omitted} further leases are not shown: one message has no room for them.").ConfigureAwait(false);
        }
    }
}
