using LpLlm.Memory.Configuration;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Attention;

/// <summary>The rule book of <see cref="AttnManagerOptions"/>: reports every option that is out of range, with its value.</summary>
/// <param name="devices">The registered driver's devices, asked only where a device is named; null when there is no driver.</param>
internal sealed class AttnManagerOptionsValidator(IDeviceSet? devices = null) : IValidateOptions<AttnManagerOptions>
{
    public ValidateOptionsResult Validate(string? name, AttnManagerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var errors = new List<string>();
        if (AttnDeviceSelector.FindProblem(options.Device, devices) is { } problem)
        {
            errors.Add(problem);
        }

        if (options.PoolName is { } pool && !PoolNameRule.Allows(pool))
        {
            errors.Add($"PoolName = '{pool}' is not {PoolNameRule.Text}; leave it out to let UseServerPool choose.");
        }

        CheckRange(nameof(options.PoolSize), options.PoolSize, long.MaxValue, errors);
        CheckRange(nameof(options.ChunkSize), options.ChunkSize, long.MaxValue, errors);
        CheckRange(nameof(options.PageTokens), options.PageTokens, 4096, errors);
        CheckRange(nameof(options.QueueLength), options.QueueLength, 65_536, errors);
        CheckRange(nameof(options.Parallelism), options.Parallelism, 1024, errors);
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }

    private static void CheckRange(string name, long? value, long most, List<string> errors)
    {
        if (value < 1)
        {
            errors.Add($"{name} = {value} is below 1.");
        }
        else if (value > most)
        {
            errors.Add($"{name} = {value} exceeds {most}.");
        }
    }
}
