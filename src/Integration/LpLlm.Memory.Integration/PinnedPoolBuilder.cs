using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory;

/// <summary>What an <c>Add…PinnedPool</c> call registered; extensions of other packages build on it.</summary>
public sealed class PinnedPoolBuilder
{
    internal PinnedPoolBuilder(IServiceCollection services, string name)
    {
        Services = services;
        Name = name;
    }

    /// <summary>The collection the pool was registered in.</summary>
    public IServiceCollection Services { get; }

    /// <summary>The pool's name: its service key and the name of its options.</summary>
    public string Name { get; }
}
