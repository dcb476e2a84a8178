using LpLlm.Memory.Devices;

namespace LpLlm.Memory;

/// <summary>Copies from the memory of this process.</summary>
internal sealed class DirectModelCopier(nint address) : IModelCopier
{
    public async Task CopyAsync(IReadOnlyList<ModelRange> ranges, IMemoryDevice device, IDeviceBuffer buffer, CancellationToken cancellationToken)
    {
        using var copier = new DeviceCopier(device, CopyDirection.ToDevice);
        var transfer = new DeviceTransfer(copier);
        try
        {
            foreach (var range in ranges)
            {
                await transfer.CopyAsync(
                    address + (nint)range.SourceOffset, buffer.Address + (nint)range.TargetOffset, range.LengthBytes, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            await transfer.DrainAsync().ConfigureAwait(false);
        }
    }
}
