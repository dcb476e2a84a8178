using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Windows;

/// <summary>A process of its own that rents all of its pool, and keeps it until it is killed.</summary>
internal static class HoldingClient
{
    public const string Command = "hold";
    public const long LengthBytes = 8 << 20;

    public static Process Start(string endPoint) =>
        Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [Command, endPoint]) { UseShellExecute = false })!;

    public static async Task<int> RunAsync(string endPoint)
    {
        await using var provider = new ServiceCollection()
            .AddServerPinnedPool("held", o => (o.EndPoint, o.CapacityBytes) = (endPoint, LengthBytes))
            .Services.BuildServiceProvider();
        using var lease = provider.GetRequiredKeyedService<IPinnedMemoryPool>("held").Rent(LengthBytes);
        lease.AsSpan<byte>().Fill(0x5A);
        await Task.Delay(Timeout.Infinite);
        return 0;
    }
}
