using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>The options system's door to <see cref="LimitOptions.Validate"/>.</summary>
internal sealed class LimitOptionsValidator : IValidateOptions<LimitOptions>
{
    public ValidateOptionsResult Validate(string? name, LimitOptions options)
    {
        var errors = new List<string>();
        options.Validate(errors);
        return errors.Count == 0
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(errors.Select(error => $"Limit of pool '{name}': {error}"));
    }
}
