using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>Turns the names in a hybrid pool's chain into pools.</summary>
internal static class HybridChain
{
    /// <exception cref="InvalidOperationException">A name is unknown, or the chain leads back to the pool.</exception>
    public static List<IPinnedMemoryPool> Resolve(IServiceProvider provider, string name, HybridPinnedPoolOptions options)
    {
        var hybrids = provider.GetServices<HybridRegistration>().Select(registration => registration.Name).ToHashSet();
        ThrowIfCyclic(name, [], hybrids, provider.GetRequiredService<IOptionsMonitor<HybridPinnedPoolOptions>>());
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

    private static InvalidOperationException Unknown(IServiceProvider provider, string name, string member)
    {
        var known = provider.GetServices<PinnedPoolRegistration>().Select(registration => registration.Name).Where(other => other != name);
        return new InvalidOperationException(
            $"Pool '{name}': its Chain names '{member}', and no pool is registered under that name; the others registered are "
            + $"{string.Join(", ", known.Select(other => $"'{other}'").DefaultIfEmpty("none"))}.");
    }
}
