using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Windows;

/// <summary>Windows without NVIDIA's driver.</summary>
public sealed class CudaAbsenceTests
{
    [SkippableFact]
    public async Task AddCudaHostMemory_NoDriver_NamesTheLibraryAndPoolsAreLockedBySystem()
    {
        await using var provider = new ServiceCollection()
            .AddCudaHostMemory()
            .AddLocalPinnedPool(o => o.CapacityBytes = 8 << 20).Services
            .BuildServiceProvider();
        var devices = provider.GetRequiredService<IDeviceSet>();
        Skip.If(devices.UnavailableReason is null, "This machine has a driver and a device.");

        using var lease = provider.GetRequiredService<IPinnedMemoryPool>().Rent(1 << 20);

        lease.Capabilities.Should().Be(PoolCapabilities.PageLocked);
        devices.Devices.Should().BeEmpty();
        devices.UnavailableReason.Should().StartWith("CudaUnavailable: nvcuda.dll cannot be loaded.");
    }
}
