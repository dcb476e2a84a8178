using LpLlm.Memory.Devices;

namespace LpLlm.Memory;

/// <content>Copies to devices.</content>
public sealed partial class ModelHandle
{
    private DevicePacking? _packing;

    /// <summary>How it comes to a device; null: from this process's memory, by streams made for each copy.</summary>
    internal IModelCopier? Copier { get; init; }

    /// <summary>Length of the buffer that the tensors fill on a device: each storage once, 256-byte aligned.</summary>
    /// <param name="names">Names of the tensors; null: all.</param>
    /// <returns>Bytes, a multiple of 256; 0 where no tensor has a byte.</returns>
    /// <exception cref="KeyNotFoundException">The model has no tensor of such a name.</exception>
    public long GetDeviceLengthBytes(IEnumerable<string>? names = null) => Pack(names).LengthBytes;

    /// <summary>Copies tensors into one new buffer of a device: a storage that several tensors share once, each 256-byte aligned.</summary>
    /// <remarks>
    /// A model of a server is copied by the server, from memory that its driver knows: this process registers nothing. The model stays open until the
    /// copy has ended, also when the handle is disposed meanwhile. The end of up to 16 MiB from this process's memory is waited for on the caller's
    /// thread, 0.5 ms at most; of more, asynchronously.
    /// </remarks>
    /// <param name="device">The device.</param>
    /// <param name="names">Names of the tensors; null: all.</param>
    /// <param name="cancellationToken">Ends the copy; nothing is kept.</param>
    /// <returns>The tensors on the device, when all bytes are there. The caller disposes it.</returns>
    /// <exception cref="KeyNotFoundException">The model has no tensor of such a name.</exception>
    /// <exception cref="PinnedMemoryException">The device has no room or failed, or the server refused; nothing is kept.</exception>
    /// <exception cref="ObjectDisposedException">The handle is disposed.</exception>
    public ValueTask<DeviceModel> CopyToDeviceAsync(
        IMemoryDevice device, IEnumerable<string>? names = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        return CopyAsync(device, given: null, Pack(names), cancellationToken);
    }

    /// <summary>Copies tensors into memory of the caller's, from its first byte on: as into a new buffer else.</summary>
    /// <remarks>
    /// For whoever changes models often: an H100's driver overwrites memory that is freed, 2.7 ms a GiB, and copies run at 7 GB/s instead of 55 meanwhile.
    /// </remarks>
    /// <param name="device">The device.</param>
    /// <param name="buffer">Memory of that device, at least <see cref="GetDeviceLengthBytes"/> long. It stays the caller's: the result does not dispose it.</param>
    /// <param name="names">Names of the tensors; null: all.</param>
    /// <param name="cancellationToken">Ends the copy; part of the bytes may be there.</param>
    /// <returns>The tensors in the buffer, when all bytes are there.</returns>
    /// <exception cref="ArgumentException">The buffer is too short.</exception>
    /// <exception cref="InvalidOperationException">The model is a server's, and the buffer was imported from another process.</exception>
    /// <exception cref="KeyNotFoundException">The model has no tensor of such a name.</exception>
    /// <exception cref="PinnedMemoryException">
    /// The device failed, or the server refused; part of the bytes may be there. After <see cref="ModelStoreFault.DeviceFailed"/> the device may still copy:
    /// the buffer must never be used again.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The handle is disposed.</exception>
    public ValueTask<DeviceModel> CopyToDeviceAsync(
        IMemoryDevice device, IDeviceBuffer buffer, IEnumerable<string>? names = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(buffer);
        var packing = Pack(names);
        if (buffer.LengthBytes < packing.LengthBytes)
        {
            throw new ArgumentException(
                $"The buffer has {buffer.LengthBytes} B, and the tensors of '{Model}' take {packing.LengthBytes} B on a device: {nameof(GetDeviceLengthBytes)} tells.", nameof(buffer));
        }

        return CopyAsync(device, buffer, packing, cancellationToken);
    }

    /// <summary>The whole model's is kept: making it takes as long as copying a MiB.</summary>
    private DevicePacking Pack(IEnumerable<string>? names) =>
        names is null ? _packing ??= new DevicePacking([.. Tensors.Values]) : new DevicePacking([.. names.Distinct(StringComparer.Ordinal).Select(Find)]);

    private async ValueTask<DeviceModel> CopyAsync(IMemoryDevice device, IDeviceBuffer? given, DevicePacking packing, CancellationToken cancellationToken)
    {
        Hold();
        var isLost = false;
        IDeviceBuffer? allocated = null;
        try
        {
            var buffer = given ?? (allocated = device.Allocate(Math.Max(1, packing.LengthBytes)));
            await CopyAsync(packing.Ranges, device, buffer, cancellationToken).ConfigureAwait(false);
            var copied = new DeviceModel(Model, device, buffer, ownsBuffer: given is null, packing);
            allocated = null;
            return copied;
        }
        catch (DeviceCopyLostException lost)
        {
            isLost = true;
            throw new ModelStoreException(ModelStoreFault.DeviceFailed, Model, lost.Message, lost);
        }
        finally
        {
            if (!isLost)
            {
                Release();
                allocated?.Dispose(); // last: a device that refused the copy may refuse this too
            }
        }
    }

    private async Task CopyAsync(IReadOnlyList<ModelRange> ranges, IMemoryDevice device, IDeviceBuffer buffer, CancellationToken cancellationToken)
    {
        if (Copier is { } copier)
        {
            await copier.CopyAsync(ranges, device, buffer, cancellationToken).ConfigureAwait(false);
            return;
        }

        using var copiers = new DeviceCopiers();
        await new DirectModelCopier(_address, copiers).CopyAsync(ranges, device, buffer, cancellationToken).ConfigureAwait(false);
    }
}
