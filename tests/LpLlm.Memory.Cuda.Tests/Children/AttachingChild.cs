using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Cuda.Children;

/// <summary>A client of a pool server that registers what it leases, and copies there and back.</summary>
internal static class AttachingChild
{
    public const string Command = "attach";
    public const int LengthBytes = 64 << 20;

    public static async Task<int> RunAsync(string endPoint, string pinning)
    {
        var services = new ServiceCollection();
        services.AddCudaHostMemory();
        services.AddServerPinnedPool(options =>
            (options.EndPoint, options.CapacityBytes, options.SlabBytes, options.Pinning) =
            (endPoint, LengthBytes, LengthBytes, Enum.Parse<SegmentPinning>(pinning)));
        await using var provider = services.BuildServiceProvider();
        var device = provider.GetRequiredService<IDeviceSet>().Devices[0];
        var pool = provider.GetRequiredService<IPinnedMemoryPool>();
        using var lease = await pool.RentAsync(LengthBytes);
        using var buffer = device.Allocate(LengthBytes);
        using var stream = device.CreateStream();
        lease.AsSpan<byte>().Fill(42);
        await lease.CopyToDeviceAsync(stream, buffer);
        lease.AsSpan<byte>().Clear();
        await lease.CopyToHostAsync(stream, buffer);
        var registered = ((CudaHostPinner)provider.GetRequiredService<IHostPinner>()).RegisteredBytes;
        Console.WriteLine($"{lease.AsSpan<byte>().IndexOfAnyExcept((byte)42)} {registered} {lease.Capabilities}");
        return 0;
    }
}
