using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport.Client;

public sealed class ServerMemorySourceContract : BackedMemorySourceContract, IDisposable
{
    private readonly SourceList _sources = new();

    public void Dispose() => _sources.Dispose();

    protected override IMemorySource Create() => _sources.Add();
}

public sealed class PinnedServerMemorySourceContract : PinnedMemorySourceContract, IDisposable
{
    private readonly SourceList _sources = new();

    public void Dispose() => _sources.Dispose();

    protected override IMemorySource Create(IHostPinner pinner) => _sources.Add(pinner);
}
