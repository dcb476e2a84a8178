namespace LpLlm.Memory.Transport.Client;

/// <summary>A server and all sources that a test made of it, disposed together.</summary>
internal sealed class SourceList : IDisposable
{
    private readonly List<ServerMemorySource> _sources = [];

    public ServerHarness Server { get; } = new();

    public ServerMemorySource Add(IHostPinner? pinner = null)
    {
        _sources.Add(Server.CreateSource(pinner));
        return _sources[^1];
    }

    public void Dispose() => Task.Run(async () =>
    {
        foreach (var source in _sources)
        {
            await source.DisposeAsync();
        }

        await Server.DisposeAsync();
    }).GetAwaiter().GetResult();
}
