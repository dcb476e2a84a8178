using System.Runtime.InteropServices;

namespace LpLlm.Memory.Models;

/// <summary>Native memory with a limit. What it hands out is filled with 0xFF and has a guard behind each extent, which is checked when it comes back.</summary>
internal sealed unsafe class NativeModelMemory : IModelMemory
{
    private const int GuardBytes = 4096;
    private readonly Lock _gate = new();
    private long _usedBytes;
    private int _liveCount;

    public long CapacityBytes { get; init; } = long.MaxValue;

    /// <summary>Longest extent; 0 for one extent a model.</summary>
    public long ExtentBytes { get; init; }

    /// <summary>What addresses are off a page by.</summary>
    public int MisalignedBytes { get; init; }

    /// <summary>What a length is rounded up to; 1 leaves no room behind the last byte.</summary>
    public int RoundingBytes { get; init; } = 4096;

    /// <summary>Called with each release, before the memory is free for others.</summary>
    public Action? Releasing { get; set; }

    public long UsedBytes => Read(() => _usedBytes);

    public int LiveCount => Read(() => _liveCount);

    public bool GuardBroken { get; private set; }

    public ValueTask<ModelAllocation> AllocateAsync(string model, long lengthBytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var rounded = (lengthBytes + RoundingBytes - 1) / RoundingBytes * RoundingBytes;
        lock (_gate)
        {
            if (rounded > CapacityBytes - _usedBytes)
            {
                throw new ModelStoreException(ModelStoreFault.NoRoom, model, $"{rounded} B of {CapacityBytes} B, {_usedBytes} B used.");
            }

            _usedBytes += rounded;
            _liveCount++;
        }

        return ValueTask.FromResult<ModelAllocation>(new Allocation(this, rounded));
    }

    /// <summary>The bytes of a model's memory, as one array.</summary>
    public static byte[] BytesOf(ModelUse use)
    {
        var bytes = new List<byte>();
        foreach (var extent in use.Allocation.Extents)
        {
            bytes.AddRange(new ReadOnlySpan<byte>((void*)extent.Address, (int)extent.LengthBytes));
        }

        return [.. bytes.Take((int)use.LengthBytes)];
    }

    private T Read<T>(Func<T> read)
    {
        lock (_gate)
        {
            return read();
        }
    }

    private sealed class Allocation : ModelAllocation
    {
        private readonly NativeModelMemory _owner;
        private readonly List<nint> _blocks = [];
        private readonly List<MemoryExtent> _extents = [];
        private int _disposed;

        public Allocation(NativeModelMemory owner, long lengthBytes)
        {
            _owner = owner;
            var step = owner.ExtentBytes > 0 ? owner.ExtentBytes : lengthBytes;
            for (long offset = 0; offset < lengthBytes; offset += step)
            {
                var length = Math.Min(step, lengthBytes - offset);
                var whole = (nuint)(length + owner.MisalignedBytes + GuardBytes);
                var block = NativeMemory.AlignedAlloc(whole, 4096);
                NativeMemory.Fill(block, whole, 0xFF);
                _blocks.Add((nint)block);
                _extents.Add(new MemoryExtent((nint)block + owner.MisalignedBytes, length));
            }
        }

        public override IReadOnlyList<MemoryExtent> Extents => _extents;

        public override PoolCapabilities Capabilities => PoolCapabilities.None;

        public override void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) != 0)
            {
                throw new InvalidOperationException("The memory was given back twice.");
            }

            _owner.Releasing?.Invoke();
            var length = LengthBytes;
            foreach (var (block, extent) in _blocks.Zip(_extents))
            {
                var guard = new ReadOnlySpan<byte>((void*)(extent.Address + extent.LengthBytes), GuardBytes);
                _owner.GuardBroken |= guard.ContainsAnyExcept((byte)0xFF);
                NativeMemory.Fill((void*)block, (nuint)(extent.LengthBytes + _owner.MisalignedBytes), 0xDD); // a late read or use shows
                NativeMemory.AlignedFree((void*)block);
            }

            lock (_owner._gate)
            {
                _owner._usedBytes -= length;
                _owner._liveCount--;
            }
        }
    }
}
