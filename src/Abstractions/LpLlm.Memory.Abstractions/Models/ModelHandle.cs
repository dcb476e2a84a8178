using System.Collections.Frozen;
using System.Numerics.Tensors;

namespace LpLlm.Memory;

/// <summary>An open model: its tensors as views of the memory in which every process shares them. Read-only; a write may end the process.</summary>
/// <remarks>
/// Thread-safe. Disposing closes it, once; every other member but the descriptions throws <see cref="ObjectDisposedException"/> after that.
/// A view taken earlier must not be used after the disposal.
/// </remarks>
public sealed partial class ModelHandle : IDisposable
{
    private readonly nint _address;
    private readonly IDisposable _owner;

    // One for the handle until it is disposed, and one for each copy that is under way.
    private int _holders = 1;
    private int _disposed;

    /// <summary>Creates a handle. Called by model stores, not by their users.</summary>
    /// <param name="model">The model's path under the storage path.</param>
    /// <param name="address">First byte of the data, all files one behind the other.</param>
    /// <param name="lengthBytes">Length of the data.</param>
    /// <param name="capabilities">What holds for the memory.</param>
    /// <param name="tensors">All tensors; every range must lie within the data.</param>
    /// <param name="owner">Disposed once, with the handle.</param>
    /// <exception cref="ArgumentException">A tensor's range is not within the data; the owner is not disposed.</exception>
    public ModelHandle(
        string model, nint address, long lengthBytes, PoolCapabilities capabilities, IEnumerable<TensorInfo> tensors, IDisposable owner)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(owner);
        Model = model;
        _address = address;
        LengthBytes = lengthBytes;
        Capabilities = capabilities;
        tensors = [.. tensors];
        if (tensors.FirstOrDefault(tensor => tensor.OffsetBytes < 0 || tensor.LengthBytes < 0 || tensor.LengthBytes > lengthBytes - tensor.OffsetBytes) is { } outside)
        {
            throw new ArgumentException(
                $"Tensor '{outside.Name}' has {outside.LengthBytes} B from byte {outside.OffsetBytes} on, beyond the model's {lengthBytes} B.", nameof(tensors));
        }

        Tensors = tensors.ToFrozenDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        _owner = owner;
    }

    /// <summary>The model's path under the storage path.</summary>
    public string Model { get; }

    /// <summary>Length of the data in bytes, all files together.</summary>
    public long LengthBytes { get; }

    /// <summary>What holds for the memory.</summary>
    public PoolCapabilities Capabilities { get; }

    /// <summary>All tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Address of the data's first byte.</summary>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
            return _address;
        }
    }

    /// <summary>A tensor's elements where they lie: nothing is copied, strides and storage offset are the index's.</summary>
    /// <typeparam name="T">An element type of the same size, for example <see cref="BFloat16"/> for <c>torch.bfloat16</c>. Its meaning is the caller's.</typeparam>
    /// <param name="name">The tensor's name.</param>
    /// <returns>The tensor, which may have more than 2^31 - 1 elements; a scalar comes as one dimension of length 1.</returns>
    /// <exception cref="KeyNotFoundException">The model has no tensor of that name.</exception>
    /// <exception cref="ArgumentException"><typeparamref name="T"/> is not of the elements' size.</exception>
    /// <exception cref="NotSupportedException">The tensor's elements overlap each other, which tensor spans do not allow.</exception>
    /// <exception cref="InvalidOperationException">The index gives the tensor more than its storage has.</exception>
    /// <exception cref="ObjectDisposedException">The handle is disposed.</exception>
    public ReadOnlyTensorSpan<T> GetTensor<T>(string name)
        where T : unmanaged
    {
        var tensor = Find(name);
        return TensorView.Of<T>(tensor, (nint)(Address + tensor.OffsetBytes));
    }

    /// <summary>The bytes of a tensor's storage where they lie, whatever its type. Tensors may share one.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <returns>One dimension, which may be longer than 2^31 - 1.</returns>
    /// <exception cref="KeyNotFoundException">The model has no tensor of that name.</exception>
    /// <exception cref="ObjectDisposedException">The handle is disposed.</exception>
    public unsafe ReadOnlyTensorSpan<byte> GetBytes(string name)
    {
        var tensor = Find(name);
        return new ReadOnlyTensorSpan<byte>((byte*)Address + tensor.OffsetBytes, (nint)tensor.LengthBytes, [(nint)tensor.LengthBytes]);
    }

    /// <summary>Closes the model here; the second time is a no-op.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Release();
        }
    }

    /// <summary>Keeps the model open until <see cref="Release"/>.</summary>
    private void Hold()
    {
        int holders;
        do
        {
            holders = Volatile.Read(ref _holders);
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0 || holders == 0, this);
        }
        while (Interlocked.CompareExchange(ref _holders, holders + 1, holders) != holders);
    }

    private void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            _owner.Dispose();
        }
    }

    private TensorInfo Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return Tensors.TryGetValue(name, out var tensor)
            ? tensor
            : throw new KeyNotFoundException($"Model '{Model}' has no tensor '{name}'; it has {Tensors.Count}, which Tensors lists.");
    }
}
