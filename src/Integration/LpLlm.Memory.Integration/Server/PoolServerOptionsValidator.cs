using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Server;

/// <summary>The options system's door to <see cref="PoolServerOptions.Validate"/>.</summary>
internal sealed class PoolServerOptionsValidator : IValidateOptions<PoolServerOptions>
{
    public ValidateOptionsResult Validate(string? name, PoolServerOptions options)
    {
        var errors = new List<string>();
        options.Validate(errors);
        return errors.Count == 0
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(errors.Select(error => $"Pool server: {error}"));
    }
}
