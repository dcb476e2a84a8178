namespace LpLlm.Memory.Models;

/// <summary>A tensor that is to be saved.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="Storage">Its bytes; tied tensors and views name the same object.</param>
/// <param name="Shape">Lengths of the dimensions, outermost first; empty for a scalar.</param>
/// <param name="Strides">Steps of the dimensions in elements.</param>
/// <param name="ElementType">As torch writes it.</param>
/// <param name="StorageOffset">Elements before its first in the storage.</param>
internal sealed record SourceTensor(
    string Name, TensorStorage Storage, IReadOnlyList<long> Shape, IReadOnlyList<long> Strides, string ElementType, long StorageOffset = 0)
{
    /// <summary>A row-major tensor that has its storage to itself or fills it.</summary>
    public static SourceTensor RowMajor(string name, TensorStorage storage, IReadOnlyList<long> shape, string elementType) =>
        new(name, storage, shape, TensorExtent.RowMajorStrides(shape), elementType);
}
