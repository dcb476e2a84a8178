using LpLlm.Memory;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers CUDA for pools and for copies.</summary>
public static class CudaHostMemoryServiceCollectionExtensions
{
    /// <summary>
    /// Page-locks the memory of all pools of this collection by registering it with CUDA's driver, and registers <see cref="IDeviceSet"/>.
    /// Where there is no driver or no device, pools are page-locked with mlock as without this call, one warning says why, and
    /// <see cref="IDeviceSet.UnavailableReason"/> does too. The driver is loaded when the first pool, or the set, is used.
    /// </summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options; null for the defaults.</param>
    public static IServiceCollection AddCudaHostMemory(this IServiceCollection services, Action<CudaHostMemoryOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddOptions<CudaHostMemoryOptions>().Configure(options => configure?.Invoke(options)).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<CudaHostMemoryOptions>, CudaHostMemoryOptionsValidator>());
        services.TryAddSingleton(CudaRuntime.Shared);
        services.TryAddSingleton<CudaHostMemory>();
        services.TryAddSingleton<IDeviceSet>(provider => new CudaDeviceSet(provider.GetRequiredService<CudaRuntime>()));

        // Null where there is no CUDA: pools ask for an optional pinner, and take mlock when they get none.
        services.AddSingleton<IHostPinner>(provider => provider.GetRequiredService<CudaHostMemory>().Pinner!);
        return services;
    }
}
