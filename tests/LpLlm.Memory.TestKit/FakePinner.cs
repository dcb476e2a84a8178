namespace LpLlm.Memory.TestKit;

/// <summary>A pinner that keeps books instead of locking pages; the k-th pin or unpin can be told to fail.</summary>
public sealed class FakePinner : IHostPinner
{
    private readonly Dictionary<nint, long> _pinned = [];
    private int _pins;
    private int _unpins;

    public string Name => "fake";

    public PoolCapabilities Capabilities { get; init; } = PoolCapabilities.PageLocked;

    /// <summary>Whether it leaves pinning to a device's first use where it is asked to; then it only notes the range.</summary>
    public bool PinsOnUse { get; init; }

    /// <summary>Ordinals (from 1) of the pins that fail.</summary>
    public HashSet<int> FailingPins { get; } = [];

    /// <summary>Ordinals (from 1) of the unpins that fail; what they were to unpin stays pinned.</summary>
    public HashSet<int> FailingUnpins { get; } = [];

    public IReadOnlyDictionary<nint, long> Pinned => _pinned;

    public long LargestPieceBytes { get; private set; }

    public void Pin(nint address, long lengthBytes)
    {
        lock (_pinned)
        {
            if (FailingPins.Contains(++_pins))
            {
                throw new MemorySourceException("fakelock", 12, "ENOMEM", lengthBytes, 8 << 20, "This pin was told to fail.");
            }

            _pinned.Add(address, lengthBytes);
            LargestPieceBytes = Math.Max(LargestPieceBytes, lengthBytes);
        }
    }

    public bool TryPinOnUse(nint address, long lengthBytes)
    {
        if (PinsOnUse)
        {
            lock (_pinned)
            {
                _pinned.Add(address, lengthBytes);
            }
        }

        return PinsOnUse;
    }

    public void Unpin(nint address, long lengthBytes)
    {
        lock (_pinned)
        {
            if (!_pinned.TryGetValue(address, out var pinned) || pinned != lengthBytes)
            {
                throw new InvalidOperationException($"{lengthBytes} B at {address} were not pinned.");
            }

            if (FailingUnpins.Contains(++_unpins))
            {
                throw new MemorySourceException("fakeunlock", 22, "EINVAL", lengthBytes, null, "This unpin was told to fail.");
            }

            _pinned.Remove(address);
        }
    }
}
