using System.Collections;

namespace LpLlm.Memory.Tests.Server;

/// <summary>Processes with a server pool each, that have rented 4 MiB and written pattern 1 into them.</summary>
internal sealed class Clients : IEnumerable<Puppet>, IDisposable
{
    private readonly List<Puppet> _puppets = [];
    private readonly Dictionary<Puppet, string> _addresses = [];

    public static async Task<Clients> StartAsync(Daemon daemon, int count)
    {
        var clients = new Clients();
        try
        {
            for (var i = 0; i < count; i++)
            {
                var puppet = Puppet.Start();
                clients._puppets.Add(puppet);
                await puppet.AskAsync($"p pool server {daemon.EndPoint} 16777216 4194304", "p rent 4194304", "p fill 0 1");
                clients._addresses[puppet] = await puppet.AskAsync("p address 0");
            }

            return clients;
        }
        catch
        {
            clients.Dispose();
            throw;
        }
    }

    /// <summary>Of its first lease, when it was rented.</summary>
    public string AddressOf(Puppet puppet) => _addresses[puppet];

    public IEnumerator<Puppet> GetEnumerator() => _puppets.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose() => _puppets.ForEach(puppet => puppet.Dispose());
}
