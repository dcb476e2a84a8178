using LpLlm.Memory.Cuda;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>What a GPU's copies gain from our memory, part by part, each beside its peer.</summary>
internal static class CudaRun
{
    public static IReadOnlyDictionary<string, Action<RunLength>> Parts { get; } = new Dictionary<string, Action<RunLength>>
    {
        ["copies"] = CopiesRun.Run,
        ["create"] = CreateRegisteredRun.Run,
        ["register"] = RegisterRun.Run,
        ["attach"] = AttachRegisteredRun.Run,
        ["cycles"] = CyclesRun.Run,
        ["attention-device"] = AttentionDeviceRun.Run,
        ["push"] = PushRun.Run,
        ["models"] = ModelsRun.Run,
        ["devices"] = DevicesRun.Run,
    };

    public static void Run(RunLength length, IEnumerable<string> parts)
    {
        if (CudaRuntime.Shared.UnavailableReason is { } reason)
        {
            Console.WriteLine($"Notice: nothing is measured. {reason}");
            return;
        }

        var device = CudaRuntime.Shared.Devices[0];
        CudaRuntime.Shared.Driver.GetVersion(out var version);
        Console.WriteLine($"Device: {PeerCalls.NameOf(device)}, driver's CUDA {version / 1000}.{version % 1000 / 10}");
        foreach (var part in parts)
        {
            Console.WriteLine($"\n## cuda {part}");
            Parts[part](length);
        }
    }
}
