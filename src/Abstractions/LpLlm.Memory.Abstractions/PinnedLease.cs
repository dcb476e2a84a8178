using System.Runtime.CompilerServices;

namespace LpLlm.Memory;

/// <summary>A block of pool memory that belongs to its holder until it is disposed.</summary>
/// <remarks>
/// <see cref="Dispose"/> and <see cref="ReturnAfter"/> may be called from any thread and take effect once; every other
/// member throws <see cref="ObjectDisposedException"/> after that. A span taken earlier must not be used after the return.
/// While a copy that was started with <c>CopyToDeviceAsync</c> or <c>CopyToHostAsync</c> is on its way, <see cref="Dispose"/> throws: await it first.
/// The object is 64 bytes; there is no finalizer: a lease that is dropped keeps its memory.
/// </remarks>
public sealed class PinnedLease : IDisposable
{
    // What has become of the lease, in one word, so that the check of copies on their way costs a return nothing.
    private const int Returned = 1;
    private const int Spoilt = 2;
    private const int OneCopy = 4;

    private IPinnedLeaseOwner _owner;
    private readonly object? _state;
    private readonly nint _address;
    private readonly long _lengthBytes;
    private readonly long _token;
    private readonly int _tag;
    private int _use;

    /// <summary>Creates a lease. Called by pools, not by their users.</summary>
    /// <param name="owner">Takes the block back, once.</param>
    /// <param name="block">The block; handed back unchanged.</param>
    public PinnedLease(IPinnedLeaseOwner owner, in LeasedBlock block)
    {
        ArgumentNullException.ThrowIfNull(owner);
        _owner = owner;
        _address = block.Address;
        _lengthBytes = block.LengthBytes;
        _token = block.Token;
        _tag = block.Tag;
        _state = block.State;
    }

    /// <summary>Address of the first byte; at least 256-byte aligned.</summary>
    public nint Address
    {
        get
        {
            ThrowIfReturned();
            return _address;
        }
    }

    /// <summary>Length in bytes, exactly as rented. Readable after the return too.</summary>
    public long LengthBytes => _lengthBytes;

    /// <summary>What holds for this memory; lacks <see cref="PoolCapabilities.PageLocked"/> when it is pageable.</summary>
    public PoolCapabilities Capabilities => _owner.Capabilities;

    /// <summary>Name of the pool that served the lease.</summary>
    public string PoolName => _owner.PoolName;

    /// <summary>Why that pool served the lease.</summary>
    public LeasePlacement Placement => _owner.Placement;

    /// <summary>Whether the lease has been returned.</summary>
    public bool IsReturned => (Volatile.Read(ref _use) & Returned) != 0;

    private LeasedBlock Block => new(_address, _lengthBytes, _token, _tag, _state);

    /// <summary>The lease as <see cref="Memory{T}"/> of bytes; allocates a small object. Its spans check that the lease is live.</summary>
    /// <exception cref="InvalidOperationException">The lease is longer than 2 GiB - 1 B.</exception>
    public Memory<byte> Memory => AsMemory<byte>();

    /// <summary>A part of the lease as a span.</summary>
    /// <param name="offsetBytes">First byte, 0 to <see cref="LengthBytes"/>.</param>
    /// <param name="lengthBytes">Length, 0 to what is left behind the offset.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the lease.</exception>
    public unsafe Span<byte> GetSpan(long offsetBytes, int lengthBytes)
    {
        ThrowIfReturned();
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offsetBytes, _lengthBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, _lengthBytes - offsetBytes);
        return new Span<byte>((byte*)_address + offsetBytes, lengthBytes);
    }

    /// <summary>The whole lease as a span of <typeparamref name="T"/>.</summary>
    /// <typeparam name="T">Element type; its size must divide <see cref="LengthBytes"/>.</typeparam>
    /// <exception cref="InvalidOperationException">The length is not a whole number of elements, or more than 2^31 - 1 of them.</exception>
    public unsafe Span<T> AsSpan<T>()
        where T : unmanaged
    {
        ThrowIfReturned();
        return new Span<T>((void*)_address, CountOf<T>());
    }

    /// <summary>The whole lease as <see cref="Memory{T}"/>; allocates a small object. Its spans check that the lease is live.</summary>
    /// <typeparam name="T">Element type; its size must divide <see cref="LengthBytes"/>.</typeparam>
    /// <exception cref="InvalidOperationException">The length is not a whole number of elements, or more than 2^31 - 1 of them.</exception>
    public Memory<T> AsMemory<T>()
        where T : unmanaged
    {
        ThrowIfReturned();
        return new LeaseMemoryManager<T>(this, CountOf<T>()).Memory;
    }

    /// <summary>Returns the block to the pool. The second call is a no-op, but leak detection reports it.</summary>
    /// <exception cref="InvalidOperationException">A copy is on its way; the lease is as before.</exception>
    public void Dispose()
    {
        if (Interlocked.CompareExchange(ref _use, Returned, 0) == 0)
        {
            _owner.TakeBack(Block, fence: null);
        }
        else
        {
            DisposeUsed();
        }
    }

    /// <summary>Returns the block once device work that still uses it has completed.</summary>
    /// <param name="fence">
    /// Completes when the memory may be reused, so behind all copies that are on their way. Until then the bytes are counted as pending.
    /// </param>
    /// <exception cref="ArgumentNullException"><paramref name="fence"/> is null.</exception>
    /// <exception cref="ObjectDisposedException">The lease was returned before.</exception>
    public void ReturnAfter(IFence fence)
    {
        ArgumentNullException.ThrowIfNull(fence);
        var before = Interlocked.Or(ref _use, Returned);
        if ((before & Returned) != 0)
        {
            _owner.ReturnedAgain(Block);
            throw new ObjectDisposedException(nameof(PinnedLease));
        }

        _owner.TakeBack(Block, (before & Spoilt) != 0 ? BrokenFence.Instance : fence);
    }

    /// <summary>
    /// Puts a wrapper's owner in front of the present one. For wrappers around pools, before they hand the lease on: it costs no second
    /// lease object. Not thread-safe.
    /// </summary>
    /// <param name="interpose">
    /// Gets the present owner and returns the new one, which must pass each block it takes back on to the one it got.
    /// </param>
    /// <exception cref="ObjectDisposedException">The lease was returned before.</exception>
    public void Interpose(Func<IPinnedLeaseOwner, IPinnedLeaseOwner> interpose)
    {
        ArgumentNullException.ThrowIfNull(interpose);
        ThrowIfReturned();
        _owner = interpose(_owner);
    }

    /// <summary>Notes a copy that is about to be enqueued: the lease cannot be disposed until <see cref="EndCopy"/>.</summary>
    /// <exception cref="ObjectDisposedException">The lease was returned before.</exception>
    internal void BeginCopy()
    {
        if ((Interlocked.Add(ref _use, OneCopy) & Returned) != 0)
        {
            EndCopy(failed: false);
            ThrowIfReturned();
        }
    }

    /// <param name="failed">The device gave no answer: it may still use the memory, which must never be rented again.</param>
    internal void EndCopy(bool failed)
    {
        if (failed)
        {
            Interlocked.Or(ref _use, Spoilt);
        }

        Interlocked.Add(ref _use, -OneCopy);
    }

    private void DisposeUsed()
    {
        while (true)
        {
            var use = Volatile.Read(ref _use);
            if ((use & Returned) != 0)
            {
                _owner.ReturnedAgain(Block);
                return;
            }

            if (use >= OneCopy)
            {
                throw new InvalidOperationException(
                    $"The lease of {_lengthBytes} B has {use / OneCopy} copies on their way: await them before it is returned, "
                    + "or return it with ReturnAfter and a fence that was recorded behind them.");
            }

            if (Interlocked.CompareExchange(ref _use, use | Returned, use) == use)
            {
                _owner.TakeBack(Block, (use & Spoilt) != 0 ? BrokenFence.Instance : null);
                return;
            }
        }
    }

    private int CountOf<T>()
        where T : unmanaged
    {
        var (count, rest) = Math.DivRem(_lengthBytes, Unsafe.SizeOf<T>());
        if (rest != 0)
        {
            throw new InvalidOperationException(
                $"A lease of {_lengthBytes} B is not a whole number of {typeof(T).Name} ({Unsafe.SizeOf<T>()} B each).");
        }

        return count <= int.MaxValue
            ? (int)count
            : throw new InvalidOperationException(
                $"A lease of {_lengthBytes} B holds {count} {typeof(T).Name}, more than a span's 2147483647; take parts with GetSpan.");
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void ThrowIfReturned() => ObjectDisposedException.ThrowIf(IsReturned, this);
}
