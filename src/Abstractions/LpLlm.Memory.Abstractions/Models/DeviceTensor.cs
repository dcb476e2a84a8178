namespace LpLlm.Memory;

/// <summary>A tensor in a device's memory.</summary>
/// <param name="Info">What the index says of it; its offset is that in the model's data, not on the device.</param>
/// <param name="Address">First byte of its storage in the device's address space, 256-byte aligned. Tensors may share one: tied weights, views.</param>
public sealed record DeviceTensor(TensorInfo Info, nint Address);
