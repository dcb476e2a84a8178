using LpLlm.Memory.Devices;

namespace LpLlm.Memory;

/// <summary>Copies from the memory of this process.</summary>
internal sealed class DirectModelCopier(nint address, DeviceCopiers copiers) : IModelCopier
{
    public async Task CopyAsync(IReadOnlyList<ModelRange> ranges, IMemoryDevice device, IDeviceBuffer buffer, CancellationToken cancellationToken)
    {
        var transfer = copiers.Begin(device, CopyDirection.ToDevice);
        try
        {
            foreach (var range in ranges)
            {
                await transfer.CopyAsync(
                    address + (nint)range.SourceOffset, buffer.Address + (nint)range.TargetOffset, range.LengthBytes, cancellationToken).ConfigureAwait(false);
            }

            transfer.WaitAwake();
        }
        finally
        {
            await transfer.DrainAsync().ConfigureAwait(false);
        }
    }
}
