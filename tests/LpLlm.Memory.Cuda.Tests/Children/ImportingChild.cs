using System.Globalization;

namespace LpLlm.Memory.Cuda.Children;

/// <summary>Opens another process's device memory, checks what is in it, and answers there.</summary>
internal static class ImportingChild
{
    public const string Command = "import";

    public static async Task<int> RunAsync(string handle, string length)
    {
        var lengthBytes = int.Parse(length, CultureInfo.InvariantCulture);
        var device = CudaRuntime.Shared.Devices[0];
        using var pool = new FakePool();
        using var lease = pool.Rent(lengthBytes);
        using var buffer = device.Import(Convert.FromHexString(handle));
        using var stream = device.CreateStream();
        await lease.CopyToHostAsync(0, lengthBytes, stream, buffer, 0);
        for (var i = 0; i < lengthBytes; i++)
        {
            if (lease.AsSpan<byte>()[i] != (byte)(i % 251))
            {
                Console.WriteLine($"byte {i} is {lease.AsSpan<byte>()[i]}");
                return 1;
            }
        }

        lease.AsSpan<byte>().Fill(77);
        await lease.CopyToDeviceAsync(0, lengthBytes, stream, buffer, 0);
        Console.WriteLine($"imported {buffer.LengthBytes}");
        return 0;
    }
}
