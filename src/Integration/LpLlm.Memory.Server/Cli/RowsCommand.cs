using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary>A command that lists what a daemon has, one row each: <c>leases</c> and <c>list</c>.</summary>
internal sealed class RowsCommand<TRow> : AdminCommand
{
    private readonly Option<bool> _json = new("--json") { Description = "Writes JSON." };
    private readonly string _rows;
    private readonly Func<PoolAdmin, CancellationToken, Task<(IReadOnlyList<TRow> Rows, int Omitted)>> _get;
    private readonly Action<IReadOnlyList<TRow>> _writeTable;

    /// <param name="name">The command's.</param>
    /// <param name="description">For its help.</param>
    /// <param name="rows">What the rows are, for people.</param>
    /// <param name="get">Asks for them.</param>
    /// <param name="writeTable">Writes them for people.</param>
    public RowsCommand(
        string name,
        string description,
        string rows,
        Func<PoolAdmin, CancellationToken, Task<(IReadOnlyList<TRow> Rows, int Omitted)>> get,
        Action<IReadOnlyList<TRow>> writeTable)
        : base(name, description)
    {
        (_rows, _get, _writeTable) = (rows, get, writeTable);
        Options.Add(_json);
    }

    protected override async Task RunAsync(PoolAdmin daemon, ParseResult result, CancellationToken cancellationToken)
    {
        var (rows, omitted) = await _get(daemon, cancellationToken).ConfigureAwait(false);
        if (result.GetValue(_json))
        {
            Report.WriteJson(rows);
        }
        else
        {
            _writeTable(rows);
        }

        if (omitted > 0)
        {
            await Console.Error.WriteLineAsync($"{omitted} further {_rows} are not shown: one message has no room for them.").ConfigureAwait(false);
        }
    }
}
