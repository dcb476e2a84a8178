using LpLlm.Memory;
using LpLlm.Memory.Configuration;
using LpLlm.Memory.Wrappers;
using Microsoft.Extensions.Configuration;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts a limit around a pool.</summary>
public static class LimitPinnedPoolBuilderExtensions
{
    /// <summary>
    /// Bounds the bytes that are rented from the pool at any instant. Never exceeded, and nothing that fits is refused. Options
    /// are checked when the host starts.
    /// </summary>
    /// <param name="builder">The pool.</param>
    /// <param name="configure">Sets the options; <see cref="LimitOptions.LimitBytes"/> is required.</param>
    /// <exception cref="InvalidOperationException">The pool has a limit already.</exception>
    public static PinnedPoolBuilder AddLimit(this PinnedPoolBuilder builder, Action<LimitOptions> configure)
    {
        WrapperOptions.Add(builder, configure, static (options, errors) => options.Validate(errors));
        return builder.Wrap((provider, pool) => new LimitedPool(
            pool,
            WrapperOptions.Get<LimitOptions>(provider, builder.Name),
            PoolLogging.CreateLogger(provider, "Limit"),
            provider.GetService<TimeProvider>()));
    }

    /// <summary>As the other overload, with options from configuration.</summary>
    /// <param name="builder">The pool.</param>
    /// <param name="section">The properties of <see cref="LimitOptions"/>; sizes may be written <c>"2GiB"</c>. Unknown keys are errors.</param>
    /// <exception cref="InvalidOperationException">The pool has a limit already.</exception>
    public static PinnedPoolBuilder AddLimit(this PinnedPoolBuilder builder, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return builder.AddLimit(options => SizedConfiguration.Bind(section, options));
    }
}
