using LpLlm.Memory.Pooling;
using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory;

/// <summary>Puts pools together from validated options: the second door to <see cref="LocalPinnedPoolOptions.Validate"/>.</summary>
internal static class PinnedPoolFactory
{
    /// <exception cref="ArgumentException">The options are wrong; every error is named.</exception>
    public static PinnedPool CreateLocal(
        string name, LocalPinnedPoolOptions options, ILogger logger, IHostPinner? pinner = null, TimeProvider? time = null)
    {
        var errors = new List<string>();
        options.Validate(errors);
        if (errors.Count > 0)
        {
            throw new ArgumentException($"Pool '{name}': {string.Join(' ', errors)}", nameof(options));
        }

        var source = new AnonymousMemorySource(
            pinner ?? new MlockHostPinner(), options.TransparentHugePages, options.AllowPageable, logger);
        return new PinnedPool(PinnedPoolSettings.From(name, options), source, logger, time);
    }
}
