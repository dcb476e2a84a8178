using System.Buffers.Binary;

namespace LpLlm.Memory.TestKit;

/// <summary>An allocation of a simulated device, or one that was imported there.</summary>
internal sealed class SimulatedBuffer(SimulatedDevice device, SimulatedAllocation allocation, bool imported) : IDeviceBuffer
{
    private const int HandleBytes = 64;
    private const long Magic = 0x5645_4444_4554_494D;
    private int _pending;
    private int _disposed;

    public nint Address => allocation.Address;

    public long LengthBytes => allocation.LengthBytes;

    public bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    public bool IsImported => imported;

    /// <summary>What a handle leads to; null when it is not one.</summary>
    public static SimulatedAllocation? Open(ReadOnlySpan<byte> handle, string uuid, out string problem)
    {
        if (handle.Length != HandleBytes)
        {
            throw new ArgumentException($"An exported handle has {HandleBytes} bytes, not {handle.Length}.", nameof(handle));
        }

        problem = "these bytes are no exported handle";
        if (BinaryPrimitives.ReadInt64LittleEndian(handle) != Magic)
        {
            return null;
        }

        problem = $"it was exported by another device than {uuid}";
        if (new Guid(handle.Slice(8, 16)).ToString("D") != uuid)
        {
            return null;
        }

        problem = "its memory was freed";
        return SimulatedAllocation.Find(BinaryPrimitives.ReadInt64LittleEndian(handle[24..]));
    }

    public byte[] Export()
    {
        ObjectDisposedException.ThrowIf(IsDisposed, typeof(IDeviceBuffer));
        if (imported)
        {
            throw new InvalidOperationException("Imported memory cannot be exported again; ask its owner.");
        }

        var handle = new byte[HandleBytes];
        BinaryPrimitives.WriteInt64LittleEndian(handle, Magic);
        Guid.Parse(allocation.Uuid).TryWriteBytes(handle.AsSpan(8));
        BinaryPrimitives.WriteInt64LittleEndian(handle.AsSpan(24), allocation.Id);
        allocation.Export();
        return handle;
    }

    /// <summary>A copy that uses it is enqueued.</summary>
    public void Enter()
    {
        ObjectDisposedException.ThrowIf(!allocation.TryUse(), typeof(IDeviceBuffer));

        Interlocked.Increment(ref _pending);
    }

    /// <summary>That copy is done or dropped.</summary>
    public void Leave()
    {
        Interlocked.Decrement(ref _pending);
        allocation.Release();
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (Volatile.Read(ref _pending) is var pending and > 0)
        {
            device.ReportFault($"a buffer of {LengthBytes} B was disposed while {pending} copies that use it were enqueued");
        }

        if (!imported)
        {
            allocation.Withdraw();
        }

        device.Forget(this);
        allocation.Release();
        if (device.RefusedDisposals > 0)
        {
            device.RefusedDisposals--;
            throw SimulatedFailure.Of("free", "REFUSED", LengthBytes, "This disposal was told to be refused.");
        }
    }
}
