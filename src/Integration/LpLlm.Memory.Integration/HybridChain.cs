using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>Turns the names in a hybrid pool's chain into pools.</summary>
internal static class HybridChain
{
    /// <exception cref="InvalidOperationException">
    /// A name is unknown, the chain leads back to the pool, or a member's options allow pageable memory before the last.
    /// </exception>
    public static List<IPinnedMemoryPool> Resolve(IServiceProvider provider, string name, HybridPinnedPoolOptions options)
    {
        var hybrids = provider.GetServices<HybridRegistration>().Select(registration => registration.Name).ToHashSet();
        ThrowIfCyclic(name, [], hybrids, provider.GetRequiredService<IOptionsMonitor<HybridPinnedPoolOptions>>());
        ThrowIfPageableBeforeTheLast(provider, name, options);
        return [.. options.Chain.Select(member => provider.GetKeyedService<IPinnedMemoryPool>(member) ?? throw Unknown(provider, name, member))];
    }

    /// <summary>Asked before any member is resolved: a container follows a cycle of factories until the stack is full.</summary>
    private static void ThrowIfCyclic(
        string name, List<string> path, HashSet<string> hybrids, IOptionsMonitor<HybridPinnedPoolOptions> options)
    {
        if (!hybrids.Contains(name))
        {
            return;
        }

        var start = path.IndexOf(name);
        path.Add(name);
        if (start >= 0)
        {
            throw new InvalidOperationException(
                $"Hybrid pools must not lead back to themselves: {string.Join(" -> ", path.Skip(start).Select(pool => $"'{pool}'"))}; "
                + "take one of them out of a Chain.");
        }

        foreach (var member in options.Get(name).Chain)
        {
            ThrowIfCyclic(member, path, hybrids, options);
        }

        path.RemoveAt(path.Count - 1);
    }

    /// <summary>
    /// Asks the options, because a pool's capabilities say only what its memory is so far: the system may refuse to lock at its next growth.
    /// A pool that was not registered here has no options to ask; its capabilities are looked at when the hybrid pool is made.
    /// </summary>
    private static void ThrowIfPageableBeforeTheLast(IServiceProvider provider, string name, HybridPinnedPoolOptions options)
    {
        var registrations = provider.GetServices<PinnedPoolRegistration>().ToDictionary(registration => registration.Name);
        foreach (var member in options.PageableFallbackBytes > 0 ? options.Chain : options.Chain.SkipLast(1))
        {
            if (FindPageableOption(provider, registrations, member) is { } option)
            {
                throw new InvalidOperationException(
                    $"Pool '{name}': its member '{member}' may hand out pageable memory ({option}), and is not the last that is asked; "
                    + "take that option back, or make the member the last of the Chain, without a PageableFallbackBytes behind it.");
            }
        }
    }

    /// <returns>The option by which the pool may come to pageable memory; null if it cannot.</returns>
    private static string? FindPageableOption(
        IServiceProvider provider, Dictionary<string, PinnedPoolRegistration> registrations, string name) =>
        registrations.GetValueOrDefault(name)?.GetOptions(provider) switch
        {
            HybridPinnedPoolOptions { PageableFallbackBytes: > 0 } => $"{nameof(HybridPinnedPoolOptions.PageableFallbackBytes)} of '{name}'",

            // AllowPageable is for size classes, and beside a chain they must not have it.
            HybridPinnedPoolOptions { Chain.Count: > 0 } hybrid => hybrid.Chain
                .Select(member => FindPageableOption(provider, registrations, member)).FirstOrDefault(option => option is not null),

            // Reserved huge pages are resident by nature.
            HostMemoryOptions { AllowPageable: true, HugePages: not HugePageMode.Require } =>
                $"{nameof(HostMemoryOptions.AllowPageable)} of '{name}'",
            _ => null,
        };

    private static InvalidOperationException Unknown(IServiceProvider provider, string name, string member)
    {
        var known = provider.GetServices<PinnedPoolRegistration>().Select(registration => registration.Name).Where(other => other != name);
        return new InvalidOperationException(
            $"Pool '{name}': its Chain names '{member}', and no pool is registered under that name; the others registered are "
            + $"{string.Join(", ", known.Select(other => $"'{other}'").DefaultIfEmpty("none"))}.");
    }
}
