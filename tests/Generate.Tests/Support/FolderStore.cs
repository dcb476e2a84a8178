using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Samples.Generate.Tests.Support;

/// <summary>A model store over a pool of somebody else, for models in one folder. Disposing gives their memory back.</summary>
internal sealed class FolderStore : IDisposable
{
    private readonly ServiceProvider _provider;

    public FolderStore(string modelFolder, IPinnedMemoryPool pool) => _provider = new ServiceCollection()
        .AddSingleton(pool)
        .AddModelStore(store => store.StoragePath = Path.GetDirectoryName(modelFolder)!)
        .BuildServiceProvider();

    public IModelStore Store => _provider.GetRequiredService<IModelStore>();

    public void Dispose() => _provider.Dispose();
}
