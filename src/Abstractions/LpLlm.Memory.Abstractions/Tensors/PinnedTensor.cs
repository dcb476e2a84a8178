using System.Numerics.Tensors;

namespace LpLlm.Memory;

/// <summary>A lease seen as a dense row-major tensor. The lease's bytes are the element count times the size of <typeparamref name="T"/>.</summary>
/// <typeparam name="T">Element type: <see cref="float"/>, <see cref="Half"/>, <see cref="BFloat16"/>, <see cref="double"/> or an integer type.</typeparam>
/// <remarks>
/// A value type: copies and reshapes share one lease, and disposing any of them returns it (once). As thread-safe as memory is:
/// concurrent reads are fine, writes need the caller's order.
/// </remarks>
public readonly struct PinnedTensor<T> : IDisposable
    where T : unmanaged
{
    private readonly PinnedLease? _lease;
    private readonly nint[]? _shape;

    internal PinnedTensor(PinnedLease lease, nint[] shape)
    {
        _lease = lease;
        _shape = shape;
    }

    /// <summary>The lease under the tensor.</summary>
    /// <exception cref="InvalidOperationException">This is <c>default</c>, not a rented tensor.</exception>
    public PinnedLease Lease => _lease ?? throw new InvalidOperationException("This PinnedTensor is default; rent one with RentTensor.");

    /// <summary>Lengths of the dimensions, outermost first.</summary>
    public ReadOnlySpan<nint> Shape => _shape;

    /// <summary>Number of elements.</summary>
    public long Count => _shape is null ? 0 : TensorShape.Count(_shape);

    /// <summary>The same elements under another shape; nothing is copied.</summary>
    /// <param name="shape">New lengths with the same product.</param>
    /// <exception cref="ArgumentException">The product differs, or a length is below 1.</exception>
    public PinnedTensor<T> Reshape(params ReadOnlySpan<nint> shape)
    {
        var count = TensorShape.Count(shape);
        return count == Count
            ? new PinnedTensor<T>(Lease, shape.ToArray())
            : throw new ArgumentException(
                $"Shape {TensorShape.Format(shape)} has {count} elements, the tensor {TensorShape.Format(Shape)} has {Count}.", nameof(shape));
    }

    /// <summary>The elements as a tensor span, which may be longer than 2^31 - 1.</summary>
    /// <exception cref="ObjectDisposedException">The lease was returned.</exception>
    public unsafe TensorSpan<T> AsTensorSpan() => new((T*)Lease.Address, (nint)Count, _shape);

    /// <summary>The elements as a flat span.</summary>
    /// <exception cref="InvalidOperationException">There are more than 2^31 - 1 elements; use <see cref="AsTensorSpan"/>.</exception>
    /// <exception cref="ObjectDisposedException">The lease was returned.</exception>
    public Span<T> AsSpan() => Lease.AsSpan<T>();

    /// <summary>The elements as flat memory; allocates a small object.</summary>
    /// <exception cref="InvalidOperationException">There are more than 2^31 - 1 elements.</exception>
    /// <exception cref="ObjectDisposedException">The lease was returned.</exception>
    public Memory<T> AsMemory() => Lease.AsMemory<T>();

    /// <summary>Copies every element from a tensor of the same shape.</summary>
    /// <param name="source">Dense or strided.</param>
    /// <exception cref="ArgumentException">The shapes differ.</exception>
    /// <exception cref="ObjectDisposedException">The lease was returned.</exception>
    public void CopyFrom(in ReadOnlyTensorSpan<T> source)
    {
        if (!source.Lengths.SequenceEqual(Shape))
        {
            throw new ArgumentException(
                $"A source of shape {TensorShape.Format(source.Lengths)} does not fit the tensor {TensorShape.Format(Shape)}.", nameof(source));
        }

        source.CopyTo(AsTensorSpan());
    }

    /// <summary>Copies every element from flat row-major data.</summary>
    /// <param name="source">Exactly <see cref="Count"/> elements.</param>
    /// <exception cref="ArgumentException">The number of elements differs.</exception>
    /// <exception cref="ObjectDisposedException">The lease was returned.</exception>
    public void CopyFrom(ReadOnlySpan<T> source)
    {
        if (source.Length != Count)
        {
            throw new ArgumentException(
                $"A source of {source.Length} elements does not fit the tensor {TensorShape.Format(Shape)} of {Count}.", nameof(source));
        }

        source.CopyTo(AsSpan());
    }

    /// <summary>Returns the lease. The second call is a no-op, and so is disposing <c>default</c>.</summary>
    public void Dispose() => _lease?.Dispose();
}
