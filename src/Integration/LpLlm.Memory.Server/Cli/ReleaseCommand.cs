using System.CommandLine;
using LpLlm.Memory.Daemon.Admin;
using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store release</c>: takes a lease away.</summary>
internal sealed class ReleaseCommand : AdminCommand
{
    private readonly Argument<ulong> _lease = new("LEASE_ID") { Description = "As shown by 'leases'." };

    public ReleaseCommand()
        : base("release", "Revokes a lease: its clients are told, and its memory is reused once they have let go or are gone.") =>
        Arguments.Add(_lease);

    protected override async Task RunAsync(PoolAdmin daemon, ParseResult result, CancellationToken cancellationToken)
    {
        var id = result.GetValue(_lease);
        try
        {
            await daemon.RevokeAsync(id, "sllm-store release", cancellationToken).ConfigureAwait(false);
        }
        catch (PoolFaultException refusal)
        {
            throw new PoolFaultException(refusal.Code, $"Lease {id}: {refusal.Message}");
        }

        await Console.Out.WriteLineAsync($"Lease {id} is revoked.").ConfigureAwait(false);
    }
}
