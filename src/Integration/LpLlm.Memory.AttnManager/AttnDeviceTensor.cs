namespace LpLlm.Memory.Attention;

/// <summary>Elements that lie in memory of a device, densely and row-major. It owns nothing.</summary>
/// <param name="Address">First byte, in the address space of the manager's device.</param>
/// <param name="ElementCount">Elements that may be read or written there.</param>
/// <param name="ElementType">Their type.</param>
public readonly record struct AttnDeviceTensor(nint Address, long ElementCount, KvElementType ElementType = KvElementType.Float32);
