using LpLlm.Memory.Configuration;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Models;

/// <summary>The rule book of <see cref="ModelStoreOptions"/>: reports every option that is out of range, with its value.</summary>
internal sealed class ModelStoreOptionsValidator : IValidateOptions<ModelStoreOptions>
{
    private const int MaxThreadCount = 256;

    public ValidateOptionsResult Validate(string? name, ModelStoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var errors = new List<string>();
        if (string.IsNullOrWhiteSpace(options.StoragePath))
        {
            errors.Add($"StoragePath = '{options.StoragePath}' is no folder; give the one that the models lie in.");
        }

        if (options.PoolName is { } pool && !PoolNameRule.Allows(pool))
        {
            errors.Add($"PoolName = '{pool}' is not {PoolNameRule.Text}; leave it out for the default pool.");
        }

        if (options.ThreadCount is < 1 or > MaxThreadCount)
        {
            errors.Add($"ThreadCount = {options.ThreadCount} is not from 1 to {MaxThreadCount}.");
        }

        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }
}
