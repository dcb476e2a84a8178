using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary>The commands of <c>sllm-store</c>.</summary>
internal sealed class CommandLine
{
    private readonly RootCommand _root = new("Owns the page-locked memory of a host, leases it to processes, and keeps models in it.");

    public CommandLine()
    {
        _root.Subcommands.Add(Start);
        _root.Subcommands.Add(new SaveCommand());
        _root.Subcommands.Add(new VerifyCommand());
        _root.Subcommands.Add(new StatusCommand());
        _root.Subcommands.Add(new RowsCommand<DaemonLease>(
            "leases", "Lists the leases of a running daemon: all for root and the daemon's user, else none.", "leases",
            static (daemon, token) => daemon.GetLeasesAsync(token), Report.WriteTable));
        _root.Subcommands.Add(new ReleaseCommand());
        _root.Subcommands.Add(new LoadCommand());
        _root.Subcommands.Add(new RowsCommand<DaemonModel>(
            "list", "Lists the models that a running daemon has registered or in memory.", "models",
            static (daemon, token) => daemon.GetModelsAsync(token), ModelReport.WriteTable));
        _root.Subcommands.Add(new UnloadCommand());
    }

    public StartCommand Start { get; } = new();

    public ParseResult Parse(string[] arguments) =>
        _root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null }); // a path may begin with @
}
