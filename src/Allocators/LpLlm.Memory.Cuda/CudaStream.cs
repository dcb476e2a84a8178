namespace LpLlm.Memory.Cuda;

/// <summary>A stream of a CUDA device, independent of the default stream.</summary>
internal sealed class CudaStream : IDeviceStream
{
    // The driver refuses larger pitches (CU_DEVICE_ATTRIBUTE_MAX_PITCH); such rows go one by one.
    private const long MaxPitchBytes = int.MaxValue;

    private readonly CudaDevice _device;
    private readonly CudaRuntime _runtime;
    private readonly StreamFences _fences;
    private readonly nint _handle;
    private int _disposed;

    public CudaStream(CudaDevice device)
    {
        _device = device;
        _runtime = device.Runtime;
        device.MakeCurrent();
        _runtime.Check(_runtime.Driver.CreateStream(out _handle), "cuStreamCreate");
        _fences = new StreamFences(device, new StreamHandle(_runtime.Driver, _handle));
    }

    public IMemoryDevice Device => _device;

    public nint Handle
    {
        get
        {
            ThrowIfDisposed();
            return _handle;
        }
    }

    public void CopyToDevice(nint hostAddress, nint deviceAddress, long lengthBytes)
    {
        Enter(hostAddress, lengthBytes, lengthBytes);
        CopyPieces(hostAddress, deviceAddress, lengthBytes, toDevice: true, isFirst: true);
    }

    public void CopyToHost(nint deviceAddress, nint hostAddress, long lengthBytes)
    {
        Enter(hostAddress, lengthBytes, lengthBytes);
        CopyPieces(hostAddress, deviceAddress, lengthBytes, toDevice: false, isFirst: true);
    }

    public void CopyToDevice(nint hostAddress, long hostPitchBytes, nint deviceAddress, long devicePitchBytes, long rowBytes, long rowCount) =>
        CopyRows(hostAddress, hostPitchBytes, deviceAddress, devicePitchBytes, rowBytes, rowCount, toDevice: true);

    public void CopyToHost(nint deviceAddress, long devicePitchBytes, nint hostAddress, long hostPitchBytes, long rowBytes, long rowCount) =>
        CopyRows(hostAddress, hostPitchBytes, deviceAddress, devicePitchBytes, rowBytes, rowCount, toDevice: false);

    public void WaitForStream(nint handle) => Order(first: handle, then: Handle);

    public void MakeStreamWait(nint handle) => Order(first: Handle, then: handle);

    public void WaitForEvent(nint handle)
    {
        ThrowIfDisposed();
        _device.MakeCurrent();
        _fences.BeforeWork(long.MaxValue);
        _runtime.Check(_runtime.Driver.WaitForEvent(_handle, handle), "cuStreamWaitEvent");
    }

    public IDeviceFence Record()
    {
        ThrowIfDisposed();
        return _fences.Add();
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _fences.Close();
        }
    }

    private void Enter(nint host, long spanBytes, long lengthBytes)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);

        // All of it first: a registration that is refused leaves nothing under way. It may change the thread's context.
        for (long at = 0; at < spanBytes;)
        {
            at += _runtime.HostRanges.Use(host + (nint)at, spanBytes - at);
        }

        _device.MakeCurrent();
        _fences.BeforeWork(lengthBytes);
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, typeof(IDeviceStream));

    /// <summary>The driver refuses a copy that leaves one registration, so it is cut where one ends.</summary>
    /// <returns>False when a part was refused behind others.</returns>
    private bool CopyPieces(nint host, nint device, long lengthBytes, bool toDevice, bool isFirst)
    {
        for (long at = 0; at < lengthBytes;)
        {
            var piece = _runtime.HostRanges.Use(host + (nint)at, lengthBytes - at);
            var code = toDevice
                ? _runtime.Driver.CopyToDevice(device + (nint)at, host + (nint)at, piece, _handle)
                : _runtime.Driver.CopyToHost(host + (nint)at, device + (nint)at, piece, _handle);
            if (!IsTaken(code, toDevice ? "cuMemcpyHtoDAsync" : "cuMemcpyDtoHAsync", piece, isFirst && at == 0))
            {
                return false;
            }

            at += piece;
        }

        return true;
    }

    private void CopyRows(nint host, long hostPitch, nint device, long devicePitch, long rowBytes, long rowCount, bool toDevice)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rowBytes, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(rowCount, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(hostPitch, rowBytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(devicePitch, rowBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rowCount, long.MaxValue / Math.Max(hostPitch, devicePitch));
        Enter(host, (rowCount - 1) * hostPitch + rowBytes, rowBytes * rowCount);
        if (hostPitch == rowBytes && devicePitch == rowBytes)
        {
            CopyPieces(host, device, rowBytes * rowCount, toDevice, isFirst: true);
            return;
        }

        for (long row = 0; row < rowCount;)
        {
            var (hostRow, deviceRow) = (host + (nint)(row * hostPitch), device + (nint)(row * devicePitch));
            var rows = Math.Max(hostPitch, devicePitch) <= MaxPitchBytes ? RowsWithin(hostRow, hostPitch, rowBytes, rowCount - row) : 0;
            if (rows < 2)
            {
                if (!CopyPieces(hostRow, deviceRow, rowBytes, toDevice, isFirst: row == 0))
                {
                    return;
                }

                row++;
                continue;
            }

            var copy = toDevice
                ? RowCopy.ToDevice(hostRow, hostPitch, deviceRow, devicePitch, rowBytes, rows)
                : RowCopy.ToHost(deviceRow, devicePitch, hostRow, hostPitch, rowBytes, rows);
            if (!IsTaken(_runtime.Driver.CopyRows(copy, _handle), "cuMemcpy2DAsync", rowBytes * rows, row == 0))
            {
                return;
            }

            row += rows;
        }
    }

    /// <summary>
    /// Whoever gets an exception gives the memory back. So only the first part of a copy may throw; behind it a refusal is one of the device's
    /// work, which the fences tell.
    /// </summary>
    private bool IsTaken(int code, string operation, long lengthBytes, bool isFirst)
    {
        if (isFirst)
        {
            _runtime.Check(code, operation, lengthBytes);
        }
        else if (code != CudaError.Success)
        {
            _fences.Fail(code, $"{operation} of {lengthBytes} B, a part of a copy,");
            return false;
        }

        return true;
    }

    /// <summary>How many whole rows lie within one registration.</summary>
    private long RowsWithin(nint host, long pitch, long rowBytes, long rowCount)
    {
        var within = _runtime.HostRanges.Use(host, (rowCount - 1) * pitch + rowBytes);
        return within < rowBytes ? 0 : (within - rowBytes) / pitch + 1;
    }

    private void Order(nint first, nint then)
    {
        ThrowIfDisposed();
        _device.MakeCurrent();
        _fences.BeforeWork(long.MaxValue);
        _runtime.Check(_fences.Events.TryTake(out var borrowed), "cuEventCreate");
        try
        {
            _runtime.Check(_runtime.Driver.RecordEvent(borrowed, first), "cuEventRecord");
            _runtime.Check(_runtime.Driver.WaitForEvent(then, borrowed), "cuStreamWaitEvent");
        }
        finally
        {
            _fences.Events.GiveBack(borrowed); // the wait stands for this recording, whatever the event is used for next
        }
    }
}
