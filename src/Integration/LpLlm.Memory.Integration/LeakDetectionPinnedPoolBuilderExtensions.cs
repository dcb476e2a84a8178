using LpLlm.Memory;
using LpLlm.Memory.Configuration;
using LpLlm.Memory.Wrappers.Leaks;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Watches over the leases of a pool.</summary>
public static class LeakDetectionPinnedPoolBuilderExtensions
{
    /// <summary>
    /// Finds leases that are never returned, returned twice, written outside of their bounds or after their return, and logs each with the
    /// renter's stack. The books are a keyed <see cref="ILeakDetector"/> under the pool's name (for the default pool without a key
    /// too). For tests and for hunting; each rent costs
    /// tens of microseconds.
    /// </summary>
    /// <param name="builder">The pool, with the wrappers whose leases are to be watched.</param>
    /// <param name="configure">Changes the options; null leaves the defaults.</param>
    /// <exception cref="InvalidOperationException">The pool has leak detection already.</exception>
    public static PinnedPoolBuilder AddLeakDetection(this PinnedPoolBuilder builder, Action<LeakDetectionOptions>? configure = null)
    {
        WrapperOptions.Add(builder, configure ?? (static _ => { }), static (options, errors) => options.Validate(errors));
        builder.Services.AddKeyedSingleton(builder.Name, (provider, _) => new LeakDetector(
            WrapperOptions.Get<LeakDetectionOptions>(provider, builder.Name),
            PoolLogging.CreateLogger(provider, "LeakDetection"),
            provider.GetService<TimeProvider>()));
        builder.Services.AddKeyedSingleton<ILeakDetector>(
            builder.Name, (provider, _) => provider.GetRequiredKeyedService<LeakDetector>(builder.Name));
        if (builder.Name == PinnedPoolRegistration.DefaultName)
        {
            builder.Services.TryAddSingleton(
                provider => provider.GetRequiredKeyedService<ILeakDetector>(PinnedPoolRegistration.DefaultName));
        }

        return builder.Wrap((provider, inner) =>
            new LeakDetectingPool(inner, provider.GetRequiredKeyedService<LeakDetector>(builder.Name)));
    }

    /// <summary>As <see cref="AddLeakDetection(PinnedPoolBuilder, Action{LeakDetectionOptions})"/>, from configuration.</summary>
    /// <param name="builder">The pool, with the wrappers whose leases are to be watched.</param>
    /// <param name="section">The properties of <see cref="LeakDetectionOptions"/>; sizes may be written <c>"16MiB"</c>. Unknown keys are errors.</param>
    /// <exception cref="InvalidOperationException">The pool has leak detection already.</exception>
    public static PinnedPoolBuilder AddLeakDetection(this PinnedPoolBuilder builder, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return builder.AddLeakDetection(options => SizedConfiguration.Bind(section, options));
    }
}
