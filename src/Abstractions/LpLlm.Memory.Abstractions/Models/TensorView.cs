using System.Numerics.Tensors;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory;

/// <summary>Makes tensor spans over an open model's memory, out of what its index says and nothing that it does not.</summary>
internal static class TensorView
{
    /// <summary>The tensor's elements, with its strides and storage offset.</summary>
    public static unsafe ReadOnlyTensorSpan<T> Of<T>(TensorInfo tensor, nint address)
        where T : unmanaged
    {
        CheckType<T>(tensor);
        if (tensor.Shape.Contains(0))
        {
            return new ReadOnlyTensorSpan<T>((T*)address, 0, ToNative(tensor.Shape));
        }

        if (tensor.Shape.Count == 0)
        {
            CheckEnd<T>(tensor, 1);
            return new ReadOnlyTensorSpan<T>((T*)address + tensor.StorageOffset, 1, [1]);
        }

        var strides = StridesOf(tensor);
        var count = CheckEnd<T>(tensor, 1 + tensor.Shape.Zip(strides).Aggregate((Int128)0, (sum, pair) => sum + ((Int128)(pair.First - 1) * pair.Second)));
        CheckOverlap(tensor, strides);
        return new ReadOnlyTensorSpan<T>((T*)address + tensor.StorageOffset, (nint)count, ToNative(tensor.Shape), strides);
    }

    private static void CheckType<T>(TensorInfo tensor)
        where T : unmanaged
    {
        if (tensor.ElementType is not "" && ElementSize.Of(tensor.ElementType) is var bytes && bytes != Unsafe.SizeOf<T>())
        {
            throw new ArgumentException(bytes == 0
                ? $"Tensor '{tensor.Name}' has elements of type {tensor.ElementType}, whose size is not known; take its bytes with GetBytes."
                : $"Tensor '{tensor.Name}' has elements of type {tensor.ElementType} ({bytes} B); {typeof(T).Name} has {Unsafe.SizeOf<T>()} B.");
        }
    }

    // A dimension of length 1 is never stepped along; tensor spans want its step to be 0.
    private static nint[] StridesOf(TensorInfo tensor) => tensor.Strides.Count == tensor.Shape.Count
        ? [.. tensor.Shape.Zip(tensor.Strides, (length, stride) => length == 1 ? 0 : (nint)stride)]
        : throw new InvalidOperationException(
            $"Tensor '{tensor.Name}' has {tensor.Shape.Count} dimensions and {tensor.Strides.Count} strides: its index is damaged.");

    private static long CheckEnd<T>(TensorInfo tensor, Int128 count)
        where T : unmanaged => tensor.StorageOffset >= 0 && (tensor.StorageOffset + count) * Unsafe.SizeOf<T>() <= tensor.LengthBytes
            ? (long)count
            : throw new InvalidOperationException(
                $"Tensor '{tensor.Name}' reaches to element {tensor.StorageOffset + count} of its storage, which has {tensor.LengthBytes} B: its index is damaged.");

    // Tensor spans refuse, without saying which tensor, strides under which two indices mean one element; steps of 0 are allowed.
    private static void CheckOverlap(TensorInfo tensor, nint[] strides)
    {
        Int128 reach = 0;
        foreach (var (length, stride) in tensor.Shape.Zip(strides).Where(pair => pair.Second != 0).OrderBy(pair => pair.Second))
        {
            if (stride <= reach)
            {
                throw new NotSupportedException(
                    $"Tensor '{tensor.Name}' has strides [{string.Join(", ", tensor.Strides)}] for shape [{string.Join(", ", tensor.Shape)}], under which elements overlap; "
                    + "take its bytes with GetBytes.");
            }

            reach += (Int128)(length - 1) * stride;
        }
    }

    private static nint[] ToNative(IReadOnlyList<long> lengths) => [.. lengths.Select(length => (nint)length)];
}
