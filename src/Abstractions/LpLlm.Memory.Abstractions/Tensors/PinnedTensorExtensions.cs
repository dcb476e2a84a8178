using System.Numerics.Tensors;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory;

/// <summary>Rents tensors from a pool.</summary>
public static class PinnedTensorExtensions
{
    /// <summary>Rents a dense row-major tensor of uninitialised elements.</summary>
    /// <typeparam name="T">Element type; the bytes rented follow its size, never the pool's.</typeparam>
    /// <param name="pool">The pool.</param>
    /// <param name="shape">Lengths of the dimensions, each at least 1; none for a scalar.</param>
    /// <exception cref="ArgumentException">A length is below 1, or the tensor exceeds 2^63 - 1 bytes.</exception>
    /// <exception cref="PinnedMemoryExhaustedException">Nothing that fits is free now.</exception>
    /// <exception cref="MemorySourceException">The pool had to grow and the system refused the memory.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    public static PinnedTensor<T> RentTensor<T>(this IPinnedMemoryPool pool, params ReadOnlySpan<nint> shape)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(pool);
        return new PinnedTensor<T>(pool.Rent(LengthBytes<T>(shape)), shape.ToArray());
    }

    /// <summary>Rents a tensor of the shape and type of another (the original's <c>alloc_same_pin_tensor</c>); nothing is copied.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="pool">The pool.</param>
    /// <param name="tensor">Gives the shape; may come from another pool.</param>
    /// <exception cref="PinnedMemoryExhaustedException">Nothing that fits is free now.</exception>
    /// <exception cref="MemorySourceException">The pool had to grow and the system refused the memory.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    public static PinnedTensor<T> RentLike<T>(this IPinnedMemoryPool pool, in PinnedTensor<T> tensor)
        where T : unmanaged => pool.RentTensor<T>(tensor.Shape);

    /// <summary>Rents a tensor of the shape and type of any tensor span; nothing is copied.</summary>
    /// <typeparam name="T">Element type.</typeparam>
    /// <param name="pool">The pool.</param>
    /// <param name="tensor">Gives the shape.</param>
    /// <exception cref="ArgumentException">The tensor is empty.</exception>
    /// <exception cref="PinnedMemoryExhaustedException">Nothing that fits is free now.</exception>
    /// <exception cref="MemorySourceException">The pool had to grow and the system refused the memory.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    public static PinnedTensor<T> RentLike<T>(this IPinnedMemoryPool pool, in ReadOnlyTensorSpan<T> tensor)
        where T : unmanaged => pool.RentTensor<T>(tensor.Lengths);

    private static long LengthBytes<T>(ReadOnlySpan<nint> shape)
        where T : unmanaged
    {
        var count = TensorShape.Count(shape);
        return count <= long.MaxValue / Unsafe.SizeOf<T>()
            ? count * Unsafe.SizeOf<T>()
            : throw new ArgumentException(
                $"A {typeof(T).Name} tensor of shape {TensorShape.Format(shape)} exceeds 2^63 - 1 bytes.", nameof(shape));
    }
}
