namespace LpLlm.Memory;

/// <summary>A point in a device's work that is still to come: a recorded event, or a virtual one in tests.</summary>
/// <remarks>Implementations are thread-safe. A completed fence stays completed.</remarks>
public interface IFence
{
    /// <summary>Whether the work before the fence is done and visible to the host. Never blocks, and does not throw: failures are for <see cref="WaitAsync"/> to tell.</summary>
    bool IsCompleted { get; }

    /// <summary>
    /// The device stream (queue) the fence was recorded on: fences with an equal key complete in the order in which they are given
    /// to <see cref="PinnedLease.ReturnAfter"/>. Null, the default: no order is known.
    /// </summary>
    object? StreamKey => null;

    /// <summary>Waits for the fence.</summary>
    /// <param name="cancellationToken">Stops waiting; the fence itself goes on.</param>
    /// <returns>A task that fails when the device reports that the work will never complete.</returns>
    ValueTask WaitAsync(CancellationToken cancellationToken = default);
}
