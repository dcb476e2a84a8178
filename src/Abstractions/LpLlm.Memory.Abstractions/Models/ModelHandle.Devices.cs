using LpLlm.Memory.Devices;

namespace LpLlm.Memory;

/// <content>Copies to devices.</content>
public sealed partial class ModelHandle
{
    /// <summary>How it comes to a device; null: from this process's memory.</summary>
    internal IModelCopier? Copier { get; init; }

    /// <summary>Copies tensors into one new buffer of a device: a storage that several tensors share once, each 256-byte aligned.</summary>
    /// <remarks>
    /// A model of a server is copied by the server, from memory that its driver knows: this process registers nothing. The model stays open until the
    /// copy has ended, also when the handle is disposed meanwhile.
    /// </remarks>
    /// <param name="device">The device.</param>
    /// <param name="names">Names of the tensors; null: all.</param>
    /// <param name="cancellationToken">Ends the copy; nothing is kept.</param>
    /// <returns>The tensors on the device, when all bytes are there. The caller disposes it.</returns>
    /// <exception cref="KeyNotFoundException">The model has no tensor of such a name.</exception>
    /// <exception cref="PinnedMemoryException">The device has no room or failed, or the server refused; nothing is kept.</exception>
    /// <exception cref="ObjectDisposedException">The handle is disposed.</exception>
    public async ValueTask<DeviceModel> CopyToDeviceAsync(
        IMemoryDevice device, IEnumerable<string>? names = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        var tensors = names is null ? Tensors.Values.ToList() : [.. names.Distinct(StringComparer.Ordinal).Select(Find)];
        var packing = new DevicePacking(tensors);
        Hold();
        var isLost = false;
        IDeviceBuffer? buffer = null;
        try
        {
            buffer = device.Allocate(Math.Max(1, packing.LengthBytes));
            await (Copier ?? new DirectModelCopier(_address)).CopyAsync(packing.Ranges, device, buffer, cancellationToken).ConfigureAwait(false);
            var address = buffer.Address;
            var copied = new DeviceModel(Model, device, buffer, tensors.Select(tensor => new DeviceTensor(tensor, address + (nint)packing.OffsetOf(tensor))));
            buffer = null;
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
                buffer?.Dispose();
                Release();
            }
        }
    }
}
