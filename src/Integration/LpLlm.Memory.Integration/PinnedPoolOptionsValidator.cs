using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>The options system's door to <see cref="PinnedPoolOptions.Validate"/>.</summary>
internal sealed class PinnedPoolOptionsValidator<TOptions> : IValidateOptions<TOptions>
    where TOptions : PinnedPoolOptions
{
    public ValidateOptionsResult Validate(string? name, TOptions options)
    {
        var errors = new List<string>();
        options.Validate(errors);
        return errors.Count == 0
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(errors.Select(error => $"Pool '{name}': {error}"));
    }
}
