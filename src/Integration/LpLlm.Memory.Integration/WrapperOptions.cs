using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>Options of wrappers: named like their pool, checked at host start and at first use.</summary>
internal static class WrapperOptions
{
    /// <param name="builder">The pool.</param>
    /// <param name="configure">Sets the options.</param>
    /// <param name="validate">The options' rule book.</param>
    /// <param name="method">The method that adds the wrapper.</param>
    /// <exception cref="InvalidOperationException">The pool has that wrapper already.</exception>
    public static void Add<TOptions>(
        PinnedPoolBuilder builder,
        Action<TOptions> configure,
        Action<TOptions, ICollection<string>> validate,
        [CallerMemberName] string method = "")
        where TOptions : class
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        builder.AddWrapper(method);
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<TOptions>>(new Validator<TOptions>(validate)));
        builder.Services.AddOptions<TOptions>(builder.Name).Configure(configure).ValidateOnStart();
    }

    public static TOptions Get<TOptions>(IServiceProvider provider, string poolName)
        where TOptions : class => provider.GetRequiredService<IOptionsMonitor<TOptions>>().Get(poolName);

    private sealed class Validator<TOptions>(Action<TOptions, ICollection<string>> validate) : IValidateOptions<TOptions>
        where TOptions : class
    {
        public ValidateOptionsResult Validate(string? name, TOptions options) =>
            OptionsCheck.Run($"Pool '{name}'", errors => validate(options, errors));
    }
}
