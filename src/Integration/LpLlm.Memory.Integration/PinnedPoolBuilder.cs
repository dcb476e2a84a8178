using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory;

/// <summary>
/// What an <c>Add…PinnedPool</c> call registered. Wrappers (<c>AddLimit</c>, <c>AddStatistics</c>, <c>AddTracing</c>,
/// <c>AddLeakDetection</c>) are added to it, each around all before it.
/// </summary>
public sealed class PinnedPoolBuilder
{
    private readonly PinnedPoolRegistration _registration;

    internal PinnedPoolBuilder(IServiceCollection services, PinnedPoolRegistration registration)
    {
        Services = services;
        _registration = registration;
    }

    /// <summary>The collection the pool was registered in.</summary>
    public IServiceCollection Services { get; }

    /// <summary>The pool's name: its service key and the name of its options.</summary>
    public string Name => _registration.Name;

    /// <summary>Notes that a wrapper is added. A second one of the same kind would silently share the options of the first.</summary>
    /// <exception cref="InvalidOperationException">The pool has that wrapper already.</exception>
    internal void AddWrapper(string method) => _registration.AddWrapper(method);

    /// <summary>Puts a wrapper around the pool and the wrappers added so far. The wrapper disposes what it wraps.</summary>
    internal PinnedPoolBuilder Wrap(Func<IServiceProvider, IPinnedMemoryPool, IPinnedMemoryPool> wrap)
    {
        _registration.Wrap(wrap);
        return this;
    }
}
