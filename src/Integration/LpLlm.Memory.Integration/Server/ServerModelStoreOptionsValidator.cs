using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Server;

/// <summary>The options system's door to <see cref="ServerModelStoreOptions.Validate"/>.</summary>
internal sealed class ServerModelStoreOptionsValidator : IValidateOptions<ServerModelStoreOptions>
{
    public ValidateOptionsResult Validate(string? name, ServerModelStoreOptions options) =>
        OptionsCheck.Run("Server model store", options.Validate);
}
