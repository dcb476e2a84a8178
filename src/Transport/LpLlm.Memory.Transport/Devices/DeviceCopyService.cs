using LpLlm.Memory.Devices;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Devices;

/// <summary>
/// Copies between clients' leases and their device memory, from the server's own mapping. One for all connections. Thread-safe.
/// </summary>
/// <remarks>
/// Whatever a client sends, it gets an answer of its own and nobody else does (U1, U7): all is checked before the device hears of it. A client that
/// gives up, or dies, does not stop what the device has begun, so the segments and the import are let go of only when that is over.
/// </remarks>
internal sealed class DeviceCopyService : IDisposable
{
    /// <summary>Ranges of one request.</summary>
    public const int MaxRanges = 1024;

    /// <summary>Length of a CUDA IPC handle.</summary>
    public const int HandleBytes = 64;

    private readonly PoolEngine _engine;
    private readonly IDeviceSet? _devices;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lazy<Task<IReadOnlyList<IMemoryDevice>>> _loading;
    private readonly DeviceCopiers _copiers = new();

    /// <param name="engine">Whose leases they are.</param>
    /// <param name="devices">This host's; null where the server was not given any. Their driver is loaded by the first request.</param>
    /// <param name="time">For deadlines.</param>
    /// <param name="logger">For what the device does not end.</param>
    public DeviceCopyService(PoolEngine engine, IDeviceSet? devices, TimeProvider time, ILogger logger)
    {
        _engine = engine;
        _devices = devices;
        _time = time;
        _logger = logger;
        Imports = new DeviceImports(time, logger);

        // Off the caller's thread: the driver takes 0.1 to 0.4 s.
        _loading = new Lazy<Task<IReadOnlyList<IMemoryDevice>>>(() => devices is null ? Task.FromResult<IReadOnlyList<IMemoryDevice>>([]) : Task.Run(() => devices.Devices));
    }

    public DeviceImports Imports { get; }

    /// <summary>Copies, and returns when the copy has been made.</summary>
    /// <exception cref="PoolFaultException">The request is wrong, there is no device, the handle leads nowhere, or the device refuses.</exception>
    /// <exception cref="MemorySourceException">The driver does not take the segments.</exception>
    /// <exception cref="OperationCanceledException">The token fired; what the device has begun goes on.</exception>
    public async Task CopyAsync(PoolSession session, DeviceCopyOptions options, CancellationToken cancellationToken)
    {
        Check(options);
        var device = await FindAsync(options.DeviceUuid, cancellationToken).ConfigureAwait(false);
        var hold = _engine.Hold(session, options.LeaseId, options.Ranges, areWritten: options.Direction == CopyDirection.ToHost);
        using var deadline = new CancellationTokenSource(options.Timeout, _time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var copy = CopyAsync(session, device, options, hold, end.Token);
        try
        {
            // What is enqueued is not waited for by whoever has no time left: it is over within milliseconds, or with the device.
            await copy.WaitAsync(end.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new PoolFaultException(
                PoolFaultCode.DeadlineExceeded,
                $"The copy took longer than {options.Timeout.TotalSeconds:0.###} s and was given up; part of it may have been made. Copy less at a time, or allow more.");
        }
    }

    /// <summary>Gives streams and imports back. The engine must have ended, so that nothing is copied any more.</summary>
    public void Dispose()
    {
        Imports.Dispose();
        _copiers.Dispose();
    }

    private static void Check(DeviceCopyOptions options)
    {
        if (options.Handle.Length != HandleBytes)
        {
            throw EngineFaults.Invalid($"ipc_handle has {options.Handle.Length} bytes: an IPC handle has {HandleBytes}.");
        }

        for (var i = 0; i < options.Ranges.Count; i++)
        {
            if (options.DeviceOffsets[i] < 0 || options.Ranges[i].LengthBytes < 1)
            {
                throw EngineFaults.Invalid(
                    $"Range {i} has {options.Ranges[i].LengthBytes} B at {options.DeviceOffsets[i]} of the device's memory: lengths are at least 1, offsets at least 0.");
            }
        }
    }

    private static void CheckDeviceRanges(DeviceCopyOptions options, IDeviceBuffer buffer)
    {
        for (var i = 0; i < options.Ranges.Count; i++)
        {
            var (offset, length) = (options.DeviceOffsets[i], options.Ranges[i].LengthBytes);
            if (length > buffer.LengthBytes || offset > buffer.LengthBytes - length)
            {
                throw EngineFaults.Invalid(
                    $"Range {i} has {length} B at {offset} of the device's memory, which has {buffer.LengthBytes} B; offsets count from the start of the whole allocation.");
            }
        }
    }

    private async Task<IMemoryDevice> FindAsync(string uuid, CancellationToken cancellationToken)
    {
        var devices = await _loading.Value.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (devices.Count == 0)
        {
            throw new PoolFaultException(
                PoolFaultCode.FailedPrecondition,
                $"This server has no devices. {_devices?.UnavailableReason ?? "None were configured: AddCudaHostMemory gives a host those of its NVIDIA driver."}");
        }

        return devices.FirstOrDefault(device => device.Uuid.Equals(uuid, StringComparison.OrdinalIgnoreCase)) ?? throw EngineFaults.Invalid(
            $"device_uuid is '{uuid[..Math.Min(uuid.Length, 64)]}': this server has {string.Join(", ", devices.Select(device => device.Uuid))}.");
    }

    private async Task CopyAsync(PoolSession session, IMemoryDevice device, DeviceCopyOptions options, SegmentHold hold, CancellationToken cancellationToken)
    {
        DeviceImport import;
        try
        {
            import = Imports.Use(session, device, options.Handle);
        }
        catch
        {
            hold.Dispose();
            throw;
        }

        var transfer = _copiers.Begin(device, options.Direction);
        try
        {
            await CopyAsync(device, options, import, hold, transfer, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await LetGoAsync(device, options, import, hold, transfer).ConfigureAwait(false);
        }
    }

    private static async Task CopyAsync(
        IMemoryDevice device, DeviceCopyOptions options, DeviceImport import, SegmentHold hold, DeviceTransfer transfer, CancellationToken cancellationToken)
    {
        var buffer = await OpenAsync(device, import).ConfigureAwait(false);
        CheckDeviceRanges(options, buffer);
        foreach (var segment in hold.Segments.Distinct())
        {
            cancellationToken.ThrowIfCancellationRequested();
            await segment.PrepareForDevicesAsync().ConfigureAwait(false);
        }

        try
        {
            for (var i = 0; i < options.Ranges.Count; i++)
            {
                var range = options.Ranges[i];
                var (host, there) = (hold.Segments[i].Address + (nint)range.OffsetBytes, buffer.Address + (nint)options.DeviceOffsets[i]);
                await transfer.CopyAsync(host, there, range.LengthBytes, cancellationToken).ConfigureAwait(false);
            }

            await transfer.DrainAsync().ConfigureAwait(false);
        }
        catch (PinnedMemoryException refusal)
        {
            throw new PoolFaultException(PoolFaultCode.FailedPrecondition, $"{device.Name} did not make the copy: {refusal.Message}");
        }
        catch (DeviceCopyLostException lost)
        {
            throw new PoolFaultException(PoolFaultCode.Unknown, $"{device.Name} may have made the copy, or may still. {lost.Message}");
        }
    }

    private static async Task<IDeviceBuffer> OpenAsync(IMemoryDevice device, DeviceImport import)
    {
        try
        {
            return await import.Opening.ConfigureAwait(false);
        }
        catch (PinnedMemoryException refusal)
        {
            throw EngineFaults.Invalid(
                $"ipc_handle leads to no memory of {device.Name} ({device.Uuid}) that this server can open: {refusal.Message} Export memory that lives, in another process than the server.");
        }
    }

    /// <summary>Once the device is done with it. If that is never known, the memory stays held for ever: reused, it would be somebody else's.</summary>
    private async Task LetGoAsync(IMemoryDevice device, DeviceCopyOptions options, DeviceImport import, SegmentHold hold, DeviceTransfer transfer)
    {
        try
        {
            await transfer.DrainAsync().ConfigureAwait(false);
        }
        catch (DeviceCopyLostException lost)
        {
            TransportLog.CopyLost(_logger, device.Uuid, options.Ranges.Sum(range => range.LengthBytes), lost.Message);
            return;
        }

        Imports.Release(import);
        hold.Dispose();
    }
}
