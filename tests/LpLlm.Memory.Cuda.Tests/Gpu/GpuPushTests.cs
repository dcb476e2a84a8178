using LpLlm.Memory.Cuda.Children;

namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>Copies that a server makes for other processes, which register nothing.</summary>
[Trait("Category", "Gpu")]
public sealed class GpuPushTests
{
    [SkippableFact]
    public async Task Push_ToEachDeviceAtOnce_GivesTheSameBytesBack_AndNoClientRegisters()
    {
        _ = GpuFact.Device;
        await using var server = await GpuServer.StartAsync(8L * PushingChild.LengthBytes);
        var ordinals = Enumerable.Range(0, CudaRuntime.Shared.Devices.Count).Select(ordinal => $"{ordinal}");

        var answers = await Task.WhenAll(ordinals.Select(ordinal => ChildProcess.RunAsync(PushingChild.Command, server.EndPoint, ordinal, "once")));

        answers.Should().OnlyContain(answer => answer == "0: -1 0");
    }

    [SkippableFact]
    public async Task U1_Push_ClientsKilledInTheMiddleOfCopies_TakeNothingFromTheNext()
    {
        _ = GpuFact.Device;
        await using var server = await GpuServer.StartAsync(2L * PushingChild.LengthBytes); // no room for memory of the dead

        for (var lines = 0; lines < 6; lines++)
        {
            await ChildProcess.KillAfterAsync(lines, PushingChild.Command, server.EndPoint, "0", "forever");
        }

        (await ChildProcess.RunAsync(PushingChild.Command, server.EndPoint, "0", "once")).Should().Be("0: -1 0");
    }
}
