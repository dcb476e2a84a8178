using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory;

/// <summary>Chooses a pool by the configuration's <c>Kind</c>, and calls the typed method for it: one path, two doors.</summary>
internal static class PoolKinds
{
    private const string KindKey = "Kind";

    private static readonly Dictionary<string, Func<IServiceCollection, string, IConfiguration, PinnedPoolBuilder>> Known =
        new(StringComparer.OrdinalIgnoreCase)
        {
            ["Local"] = (services, name, section) => services.AddLocalPinnedPool(name, section),
            ["FixedBlock"] = (services, name, section) => services.AddFixedBlockPinnedPool(name, section),
            ["Server"] = (services, name, section) => services.AddServerPinnedPool(name, section),
            ["Hybrid"] = (services, name, section) => services.AddHybridPinnedPool(name, section),
        };

    public static PinnedPoolBuilder Add(IServiceCollection services, string name, IConfiguration configuration)
    {
        var path = (configuration as IConfigurationSection)?.Path is { Length: > 0 } sectionPath ? sectionPath : "The configuration";
        var kinds = string.Join(", ", Known.Keys);
        var unknown = configuration.GetChildren()
            .Select(child => child.Key)
            .Where(key => !key.Equals(KindKey, StringComparison.OrdinalIgnoreCase) && !Known.ContainsKey(key)
                && !PoolWrappers.Keys.Contains(key, StringComparer.OrdinalIgnoreCase))
            .ToList();
        if (unknown.Count > 0)
        {
            throw new InvalidOperationException(
                $"{path} has unknown keys: {string.Join(", ", unknown)}. It may hold {KindKey}, one section for each kind ({kinds}), "
                + $"and wrappers: {string.Join(", ", PoolWrappers.Keys)}.");
        }

        var kind = configuration[KindKey];
        return kind is not null && Known.TryGetValue(kind, out var add)
            ? PoolWrappers.Add(
                add(services, name, configuration.GetSection(Known.Keys.First(k => k.Equals(kind, StringComparison.OrdinalIgnoreCase)))),
                configuration)
            : throw new InvalidOperationException(
                $"{path}:{KindKey} is {(kind is null ? "missing" : $"'{kind}'")}; the registered kinds of pool are {kinds}.");
    }
}
