using System.Runtime.InteropServices;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>Takes leases back and does nothing with them; all stand for the same byte.</summary>
internal sealed class NoOwner : IPinnedLeaseOwner
{
    private readonly byte[] _memory = GC.AllocateArray<byte>(Alignment.Bytes, pinned: true);

    public NoOwner() => Address = Marshal.UnsafeAddrOfPinnedArrayElement(_memory, 0);

    public nint Address { get; }

    public string PoolName => "none";

    public PoolCapabilities Capabilities => PoolCapabilities.None;

    public void TakeBack(in LeasedBlock block, IFence? fence)
    {
    }
}
