namespace LpLlm.Memory.Models;

/// <summary>Memory of one model, writable here until it is given back. Disposing gives it back, once.</summary>
internal abstract class ModelAllocation : IDisposable
{
    /// <summary>Its parts in order; together at least what was asked for. Each but the last is a multiple of 2 MiB, each begins on a page.</summary>
    public abstract IReadOnlyList<MemoryExtent> Extents { get; }

    public abstract PoolCapabilities Capabilities { get; }

    /// <summary>Bytes of all parts.</summary>
    public long LengthBytes => Extents.Sum(extent => extent.LengthBytes);

    /// <summary>Makes the devices' driver know the memory, unless it does: only from such memory does a device copy at its link's speed.</summary>
    /// <exception cref="MemorySourceException">The driver refuses.</exception>
    public virtual Task PrepareForDevicesAsync() => Task.CompletedTask;

    public abstract void Dispose();
}
