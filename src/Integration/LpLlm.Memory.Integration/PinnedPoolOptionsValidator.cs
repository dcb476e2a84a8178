using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>The options system's door to <see cref="PinnedPoolOptions.Validate"/>.</summary>
internal sealed class PinnedPoolOptionsValidator<TOptions> : IValidateOptions<TOptions>
    where TOptions : PinnedPoolOptions
{
    public ValidateOptionsResult Validate(string? name, TOptions options) =>
        OptionsCheck.Run($"Pool '{name}'", options.Validate);
}
