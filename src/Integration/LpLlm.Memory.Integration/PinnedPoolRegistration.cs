using LpLlm.Memory.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace LpLlm.Memory;

/// <summary>The one way a pool enters a service collection; its instances are the list of pools in order of registration.</summary>
internal sealed record PinnedPoolRegistration(string Name)
{
    /// <summary>The pool that is also resolvable without a key.</summary>
    public const string DefaultName = "default";

    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">The name is taken: a second call would silently merge the options of two pools.</exception>
    public static PinnedPoolBuilder Add(
        IServiceCollection services, string name, Func<IServiceProvider, string, IPinnedMemoryPool> create)
    {
        if (!PoolNameRule.Allows(name))
        {
            throw new ArgumentException(
                $"'{name}' is not a pool name: use {PoolNameRule.Text}.", nameof(name));
        }

        if (services.Any(service => IsRegistrationOf(service, name)))
        {
            throw new InvalidOperationException($"A pool named '{name}' is registered already; give each pool its own name.");
        }

        services.AddSingleton(new PinnedPoolRegistration(name));
        services.AddKeyedSingleton(name, (provider, _) => create(provider, name));
        if (name == DefaultName)
        {
            services.TryAddSingleton(provider => provider.GetRequiredKeyedService<IPinnedMemoryPool>(DefaultName));
        }

        services.AddHostedService<PinnedPoolStarter>();
        return new PinnedPoolBuilder(services, name);
    }

    // Asking a keyed descriptor for its unkeyed instance throws.
    private static bool IsRegistrationOf(ServiceDescriptor service, string name) =>
        !service.IsKeyedService && service.ImplementationInstance is PinnedPoolRegistration other && other.Name == name;
}
