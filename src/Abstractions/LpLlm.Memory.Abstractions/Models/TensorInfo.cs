namespace LpLlm.Memory;

/// <summary>What a checkpoint's index says of one tensor.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="OffsetBytes">First byte of its storage, counted over all data files one behind the other.</param>
/// <param name="LengthBytes">Bytes of its storage. Tensors may share one: tied weights, views.</param>
/// <param name="Shape">Lengths of the dimensions, outermost first; empty for a scalar.</param>
/// <param name="Strides">Steps of the dimensions, in elements.</param>
/// <param name="ElementType">As torch writes it, for example <c>torch.bfloat16</c>.</param>
/// <param name="StorageOffset">Elements between the storage's first byte and the tensor's first element; 0 for most.</param>
public sealed record TensorInfo(
    string Name,
    long OffsetBytes,
    long LengthBytes,
    IReadOnlyList<long> Shape,
    IReadOnlyList<long> Strides,
    string ElementType,
    long StorageOffset = 0);
