using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Cuda.Driver;

/// <summary>Memory of the device and of the host, and copies between them.</summary>
internal sealed unsafe partial class SimulatedCudaDriver
{
    public int Allocate(long lengthBytes, out nint address)
    {
        var code = lengthBytes > CapacityBytes ? CudaError.OutOfMemory : Check("cuMemAlloc");
        if (code != 0)
        {
            address = 0;
            return code;
        }

        var made = (nint)NativeMemory.AlignedAlloc((nuint)lengthBytes, 512);
        NativeMemory.Fill((void*)made, (nuint)lengthBytes, 0xFF);
        Under(() => _allocated.Add(made, lengthBytes));
        address = made;
        return 0;
    }

    public int Free(nint address)
    {
        if (Check("cuMemFree") is var code and not 0)
        {
            return code;
        }

        lock (_gate)
        {
            Advance(int.MaxValue);
            if (!_allocated.Remove(address))
            {
                return CudaError.InvalidValue;
            }
        }

        foreach (var exported in Exported.Where(each => each.Value.Owner == this && each.Value.Address == address))
        {
            Exported.TryRemove(exported.Key, out _);
        }

        NativeMemory.AlignedFree((void*)address);
        return 0;
    }

    public int RegisterHost(nint address, long lengthBytes, uint flags)
    {
        if (Registering?.Invoke(address, lengthBytes, flags) is { } code and not 0)
        {
            return code;
        }

        lock (_gate)
        {
            if (Check("cuMemHostRegister") is var failure and not 0)
            {
                return failure;
            }

            if (_registered.Any(each => Overlap(each.Key, each.Value, address, lengthBytes)))
            {
                return CudaError.AlreadyRegistered;
            }

            _registered.Add(address, lengthBytes);
            return 0;
        }
    }

    public int UnregisterHost(nint address)
    {
        if (Unregistering?.Invoke(address) is { } refusal and not 0)
        {
            return refusal;
        }

        lock (_gate)
        {
            return Check("cuMemHostUnregister") is var code and not 0 ? code : _registered.Remove(address) ? 0 : CudaError.NotRegistered;
        }
    }

    public int CopyToDevice(nint device, nint host, long lengthBytes, nint stream) =>
        Copy(stream, host, lengthBytes, device, lengthBytes, () => Move(device, host, lengthBytes));

    public int CopyToHost(nint host, nint device, long lengthBytes, nint stream) =>
        Copy(stream, host, lengthBytes, device, lengthBytes, () => Move(host, device, lengthBytes));

    public int CopyRows(in RowCopy copy, nint stream)
    {
        var rows = copy;
        var toDevice = copy.TargetKind == RowCopy.Device;
        var (source, target) = toDevice ? (copy.SourceHost, copy.TargetDevice) : (copy.SourceDevice, copy.TargetHost);
        var (sourceSpan, targetSpan) = ((rows.RowCount - 1) * rows.SourcePitch + rows.RowBytes, (rows.RowCount - 1) * rows.TargetPitch + rows.RowBytes);
        return Copy(
            stream, toDevice ? source : target, toDevice ? sourceSpan : targetSpan, toDevice ? target : source, toDevice ? targetSpan : sourceSpan,
            () =>
            {
                for (nint row = 0; row < rows.RowCount; row++)
                {
                    Move(target + row * rows.TargetPitch, source + row * rows.SourcePitch, rows.RowBytes);
                }
            });
    }

    public int ExportMemory(nint address, Span<byte> handle)
    {
        handle.Clear();
        var id = Interlocked.Increment(ref s_lastExport);
        BinaryPrimitives.WriteInt64LittleEndian(handle, id);
        Exported[id] = (this, address, Under(() => _allocated[address]));
        return Check("cuIpcGetMemHandle");
    }

    public int OpenMemory(ReadOnlySpan<byte> handle, out nint address)
    {
        address = 0;
        if (!Exported.TryGetValue(BinaryPrimitives.ReadInt64LittleEndian(handle), out var exported))
        {
            return CudaError.InvalidValue;
        }

        if (exported.Owner == this)
        {
            return CudaError.InvalidContext;
        }

        var opened = address = exported.Address;
        return Call("cuIpcOpenMemHandle", () => _opened[opened] = exported.LengthBytes);
    }

    public int CloseMemory(nint address) => Call("cuIpcCloseMemHandle", () => _opened.Remove(address));

    public int GetAddressRange(nint address, out nint start, out long lengthBytes)
    {
        start = address;
        lengthBytes = Under(() => _opened.TryGetValue(address, out var opened) ? opened : _allocated.GetValueOrDefault(address));
        return lengthBytes == 0 ? CudaError.InvalidValue : Check("cuMemGetAddressRange");
    }
}
