using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Tlsf;

/// <summary>All nodes of one allocator, by index. Grows by doubling: a fixed maximum is a known source of bugs in its kin.</summary>
internal sealed class BlockTable
{
    public const int Nil = -1;
    public const int Chained = -2;
    private const int InitialCount = 64;

    private BlockNode[] _nodes = new BlockNode[InitialCount];
    private int _unused = Nil;

    /// <summary>Slots ever used; every index below it names a node.</summary>
    public int Count { get; private set; }

    /// <summary>Slots on the unused stack.</summary>
    public int UnusedCount { get; private set; }

    /// <summary>The node; no bounds check, because indices come from the table itself and handles are checked before.</summary>
    public ref BlockNode this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(_nodes), index);
    }

    /// <summary>Takes a slot. References into the table are void afterwards: it may have moved.</summary>
    public int Take()
    {
        if (_unused != Nil)
        {
            var index = _unused;
            _unused = this[index].Next;
            UnusedCount--;
            return index;
        }

        if (Count == _nodes.Length)
        {
            Array.Resize(ref _nodes, checked(Count * 2));
        }

        return Count++;
    }

    public void Release(int index)
    {
        this[index].Next = _unused;
        _unused = index;
        UnusedCount++;
    }
}
