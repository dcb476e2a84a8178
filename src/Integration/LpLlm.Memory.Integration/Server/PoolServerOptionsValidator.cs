using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Server;

/// <summary>The options system's door to <see cref="PoolServerOptions.Validate"/>.</summary>
internal sealed class PoolServerOptionsValidator : IValidateOptions<PoolServerOptions>
{
    public ValidateOptionsResult Validate(string? name, PoolServerOptions options) =>
        OptionsCheck.Run("Pool server", options.Validate);
}
