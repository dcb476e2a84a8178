namespace LpLlm.Memory.Server;

/// <summary>
/// A segment as the devices' driver knows it: from the first copy on, since most segments never meet a device and a driver takes 100 ms for a GiB.
/// Thread-safe.
/// </summary>
/// <param name="findPinner">Whose driver it is; asked when a device first uses the memory, since that loads the driver. Null where there is none.</param>
/// <param name="address">First byte.</param>
/// <param name="lengthBytes">Length.</param>
internal sealed class DeviceRegistration(Func<IHostPinner?> findPinner, nint address, long lengthBytes)
{
    /// <summary>The most that a pinner takes at a time.</summary>
    private const long PieceBytes = 1L << 30;

    private readonly Lock _gate = new();
    private readonly List<(nint Address, long LengthBytes)> _pinned = [];
    private IHostPinner? _pinner;
    private Task? _registering;

    /// <summary>Registers, off the caller's thread; goes on where it was after a failure.</summary>
    /// <exception cref="MemorySourceException">The driver refuses.</exception>
    public Task EnsureAsync()
    {
        lock (_gate)
        {
            return _registering is null or { IsFaulted: true } ? _registering = Task.Run(Register) : _registering;
        }
    }

    /// <summary>Undoes it, or the part that was not refused; before the memory is unmapped, and when nothing is copied any more.</summary>
    /// <exception cref="MemorySourceException">The driver does not let go: the memory must stay mapped.</exception>
    public void Undo()
    {
        while (_pinned.Count > 0)
        {
            _pinner!.Unpin(_pinned[^1].Address, _pinned[^1].LengthBytes);
            _pinned.RemoveAt(_pinned.Count - 1);
        }
    }

    private void Register()
    {
        if (findPinner() is not { } pinner)
        {
            return;
        }

        _pinner = pinner;
        if (pinner.TryPinOnUse(address, lengthBytes))
        {
            _pinned.Add((address, lengthBytes));
            return;
        }

        // What an earlier attempt has registered stays: the driver may refuse to undo that too.
        for (long at = _pinned.Sum(piece => piece.LengthBytes); at < lengthBytes; at += PieceBytes)
        {
            var piece = (Address: address + (nint)at, LengthBytes: Math.Min(PieceBytes, lengthBytes - at));
            pinner.Pin(piece.Address, piece.LengthBytes);
            _pinned.Add(piece);
        }
    }
}
