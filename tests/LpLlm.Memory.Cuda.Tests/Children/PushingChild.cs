using System.Globalization;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Cuda.Children;

/// <summary>A client of a pool server that has it copy a lease to device memory and back: once, or until it is killed.</summary>
internal static class PushingChild
{
    public const string Command = "push";
    public const int LengthBytes = 256 << 20;

    public static async Task<int> RunAsync(string endPoint, string ordinal, bool endless)
    {
        var services = new ServiceCollection();
        services.AddCudaHostMemory();
        services.AddServerPinnedPool(options =>
            (options.EndPoint, options.CapacityBytes, options.SlabBytes, options.Pinning) = (endPoint, LengthBytes, LengthBytes, SegmentPinning.None));
        await using var provider = services.BuildServiceProvider();
        var device = provider.GetRequiredService<IDeviceSet>().Devices[int.Parse(ordinal, CultureInfo.InvariantCulture)];
        var copies = provider.GetRequiredService<IServerPool>();
        using var lease = await provider.GetRequiredService<IPinnedMemoryPool>().RentAsync(LengthBytes);
        using var buffer = device.Allocate(LengthBytes);
        var memory = ExportedMemory.Of(device, buffer);
        lease.AsSpan<byte>().Fill(42);
        do
        {
            await copies.CopyToDeviceAsync(lease, 0, memory, 0, LengthBytes);
            if (endless)
            {
                Console.WriteLine("copied");
            }
        }
        while (endless);

        lease.AsSpan<byte>().Clear();
        await copies.CopyFromDeviceAsync(lease, 0, memory, 0, LengthBytes);
        var registered = ((CudaHostPinner)provider.GetRequiredService<IHostPinner>()).RegisteredBytes;
        Console.WriteLine($"{lease.AsSpan<byte>().IndexOfAnyExcept((byte)42)} {registered}");
        return 0;
    }
}
