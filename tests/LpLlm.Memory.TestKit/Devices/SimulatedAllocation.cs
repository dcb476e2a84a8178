using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.TestKit;

/// <summary>
/// Native memory that stands for a device's. It lives until the owner, every import and every copy in flight have let go of it, so that
/// a copy into a freed buffer is reported instead of corrupting the test's process.
/// </summary>
internal sealed unsafe class SimulatedAllocation
{
    private static readonly ConcurrentDictionary<long, SimulatedAllocation> Exported = new();
    private static long s_lastId;
    private int _users = 1;

    public SimulatedAllocation(string uuid, long lengthBytes)
    {
        Uuid = uuid;
        LengthBytes = lengthBytes;
        Id = Interlocked.Increment(ref s_lastId);
        Address = (nint)NativeMemory.AlignedAlloc((nuint)lengthBytes, 256);

        // All ones are NaN in every float type: reading what nobody wrote shows in any sum.
        NativeMemory.Fill((void*)Address, (nuint)lengthBytes, 0xFF);
    }

    public long Id { get; }

    public string Uuid { get; }

    public nint Address { get; }

    public long LengthBytes { get; }

    public static SimulatedAllocation? Find(long id) => Exported.GetValueOrDefault(id);

    public void Export() => Exported[Id] = this;

    /// <summary>The owner frees it: no further import succeeds.</summary>
    public void Withdraw() => Exported.TryRemove(Id, out _);

    /// <summary>Keeps the memory; false when it is gone already.</summary>
    public bool TryUse()
    {
        for (var users = Volatile.Read(ref _users); users > 0; users = Volatile.Read(ref _users))
        {
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users)
            {
                return true;
            }
        }

        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            NativeMemory.AlignedFree((void*)Address);
        }
    }
}
