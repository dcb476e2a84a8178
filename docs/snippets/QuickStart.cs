using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LpLlm.Memory.Docs;

/// <summary>Every C# block of README.md and docs/*.md stands in this project, so that the build compiles it; a test compares them.</summary>
public static class QuickStart
{
    public static async Task RunAsync()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddPinnedMemoryPool(builder.Configuration.GetSection("LpLlm:Memory"));
        using var host = builder.Build();
        await host.StartAsync(); // pins the pool's initial memory, or fails here and says what to do

        var pool = host.Services.GetRequiredService<IPinnedMemoryPool>();
        using var keys = pool.RentTensor<BFloat16>(8, 1024, 128);
        using var staging = await pool.RentAsync(64 << 20); // waits for room, first come, first served
        Console.WriteLine($"{keys.Lease.Address:x} holds {keys.Count} elements; {pool.GetSnapshot().UsedBytes} B are used");
    }
}
