using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>The options system's door to <see cref="LocalPinnedPoolOptions.Validate"/>.</summary>
internal sealed class LocalPinnedPoolOptionsValidator : IValidateOptions<LocalPinnedPoolOptions>
{
    public ValidateOptionsResult Validate(string? name, LocalPinnedPoolOptions options)
    {
        var errors = new List<string>();
        options.Validate(errors);
        return errors.Count == 0
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(errors.Select(error => $"Pool '{name}': {error}"));
    }
}
