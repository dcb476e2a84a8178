using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory;

/// <summary>The wrappers that configuration may put around a pool, beside its <c>Kind</c>: from the innermost to the outermost.</summary>
internal static class PoolWrappers
{
    private static readonly (string Key, Action<PinnedPoolBuilder, IConfigurationSection> Add)[] Known =
    [
        ("LeakDetection", (builder, section) => builder.AddLeakDetection(section)),
        ("Limit", (builder, section) => builder.AddLimit(section)),
        ("Tracing", (builder, section) => builder.AddTracing(section)),
        ("Statistics", (builder, section) => AddIf(section, builder.AddStatistics)),
    ];

    public static IEnumerable<string> Keys => Known.Select(wrapper => wrapper.Key);

    /// <summary>Adds the wrappers that the configuration has, in the table's order whatever the configuration's is.</summary>
    /// <exception cref="InvalidOperationException">A switch is neither true nor false.</exception>
    public static PinnedPoolBuilder Add(PinnedPoolBuilder builder, IConfiguration configuration)
    {
        // By key, not by content: an empty section is a mistake that the options report, not a wish for nothing.
        var given = configuration.GetChildren().Select(child => child.Key).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, add) in Known.Where(wrapper => given.Contains(wrapper.Key)))
        {
            add(builder, configuration.GetSection(key));
        }

        return builder;
    }

    private static void AddIf(IConfigurationSection section, Func<PinnedPoolBuilder> add)
    {
        if (!bool.TryParse(section.Value, out var wanted))
        {
            throw new InvalidOperationException($"{section.Path} is '{section.Value}'; it must be true or false.");
        }

        if (wanted)
        {
            add();
        }
    }
}
