using LpLlm.Memory.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>The one way a pool enters a service collection; its instances are the list of pools in order of registration.</summary>
internal sealed record PinnedPoolRegistration(string Name)
{
    /// <summary>The pool that is also resolvable without a key.</summary>
    public const string DefaultName = "default";

    private readonly List<Func<IServiceProvider, IPinnedMemoryPool, IPinnedMemoryPool>> _wrappers = [];
    private readonly HashSet<string> _wrapperMethods = [];

    /// <summary>Reads the pool's options: what it may become is known before it exists.</summary>
    public required Func<IServiceProvider, PinnedPoolOptions> GetOptions { get; init; }

    /// <summary>Registers a pool with options of its own kind.</summary>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">The name is taken: a second call would silently merge the options of two pools.</exception>
    public static PinnedPoolBuilder Add<TOptions>(
        IServiceCollection services,
        string name,
        Action<TOptions> configure,
        Func<IServiceProvider, string, TOptions, IPinnedMemoryPool> create)
        where TOptions : PinnedPoolOptions
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(configure);
        if (!PoolNameRule.Allows(name))
        {
            throw new ArgumentException(
                $"'{name}' is not a pool name: use {PoolNameRule.Text}.", nameof(name));
        }

        if (services.Any(service => IsRegistrationOf(service, name)))
        {
            throw new InvalidOperationException($"A pool named '{name}' is registered already; give each pool its own name.");
        }

        var registration = new PinnedPoolRegistration(name)
        {
            GetOptions = provider => provider.GetRequiredService<IOptionsMonitor<TOptions>>().Get(name),
        };
        services.AddSingleton(registration);
        services.AddOptions<TOptions>(name).Configure(configure).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<TOptions>, PinnedPoolOptionsValidator<TOptions>>());
        services.AddKeyedSingleton(name, (provider, _) => registration.Create(
            provider, create(provider, name, provider.GetRequiredService<IOptionsMonitor<TOptions>>().Get(name))));
        if (name == DefaultName)
        {
            services.TryAddSingleton(provider => provider.GetRequiredKeyedService<IPinnedMemoryPool>(DefaultName));
        }

        services.AddHostedService<PinnedPoolStarter>();
        return new PinnedPoolBuilder(services, registration);
    }

    /// <exception cref="InvalidOperationException">The method was called for this pool before.</exception>
    public void AddWrapper(string method)
    {
        if (!_wrapperMethods.Add(method))
        {
            throw new InvalidOperationException($"{method} was called twice for pool '{Name}'; once is enough.");
        }
    }

    /// <summary>Puts a wrapper around all that was registered so far.</summary>
    public void Wrap(Func<IServiceProvider, IPinnedMemoryPool, IPinnedMemoryPool> wrap) => _wrappers.Add(wrap);

    // Asking a keyed descriptor for its unkeyed instance throws.
    private static bool IsRegistrationOf(ServiceDescriptor service, string name) =>
        !service.IsKeyedService && service.ImplementationInstance is PinnedPoolRegistration other && other.Name == name;

    private IPinnedMemoryPool Create(IServiceProvider provider, IPinnedMemoryPool pool)
    {
        foreach (var wrap in _wrappers)
        {
            try
            {
                pool = wrap(provider, pool);
            }
            catch
            {
                pool.Dispose(); // with the wrappers it has: a trace's file, say, would stay open
                throw;
            }
        }

        return pool;
    }
}
