using System.Collections.Frozen;

namespace LpLlm.Memory;

/// <summary>An open model: its tensors as views of the memory in which every process shares them. Read-only; a write may end the process.</summary>
/// <remarks>
/// Thread-safe. Disposing closes it, once; every other member but the descriptions throws <see cref="ObjectDisposedException"/> after that.
/// A view taken earlier must not be used after the disposal.
/// </remarks>
public sealed class ModelHandle : IDisposable
{
    private readonly nint _address;
    private IDisposable? _owner;

    /// <summary>Creates a handle. Called by model stores, not by their users.</summary>
    /// <param name="model">The model's path under the storage path.</param>
    /// <param name="address">First byte of the data, all files one behind the other.</param>
    /// <param name="lengthBytes">Length of the data.</param>
    /// <param name="capabilities">What holds for the memory.</param>
    /// <param name="tensors">All tensors; every range must lie within the data.</param>
    /// <param name="owner">Disposed once, with the handle.</param>
    public ModelHandle(
        string model, nint address, long lengthBytes, PoolCapabilities capabilities, IEnumerable<TensorInfo> tensors, IDisposable owner)
    {
        Model = model;
        _address = address;
        LengthBytes = lengthBytes;
        Capabilities = capabilities;
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
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _owner) is null, this);
            return _address;
        }
    }

    /// <summary>Closes the model here; the second time is a no-op.</summary>
    public void Dispose() => Interlocked.Exchange(ref _owner, null)?.Dispose();
}
