namespace LpLlm.Memory.Attention.Tests;

/// <summary>Keys and values lie on the device as float32: for caches of 16 bits they are converted on their way.</summary>
public class DeviceConvertingAttentionTests : AttentionTests
{
    protected override AttnPath CreatePath() => new SimulatedPath(new SimulatedDevice(seed: 2), convert: true);
}
