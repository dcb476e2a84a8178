namespace LpLlm.Memory.Transport.Devices;

/// <summary>A device that touches no memory, so that it works on segments that are simulated: handles of an even first byte lead to 100 units.</summary>
internal sealed class InstantDevice : IMemoryDevice
{
    private int _open;

    public string Name => "cuda:0";

    public string Uuid => "00000000-0000-0000-0000-000000000001";

    /// <summary>Imports that are not closed.</summary>
    public int Open => Volatile.Read(ref _open);

    public IDeviceBuffer Allocate(long lengthBytes) => throw new NotSupportedException();

    public IDeviceBuffer Import(ReadOnlySpan<byte> handle)
    {
        if (handle[0] % 2 != 0)
        {
            throw new MemorySourceException("import", 1, "INVALID_HANDLE", 0, null, "It is odd.");
        }

        Interlocked.Increment(ref _open);
        return new Buffer(this);
    }

    public IDeviceStream CreateStream() => new Stream(this);

    private sealed class Buffer(InstantDevice device) : IDeviceBuffer
    {
        public nint Address => 1 << 20;

        public long LengthBytes => 100 * EngineHarness.Unit;

        public byte[] Export() => throw new InvalidOperationException();

        public void Dispose() => Interlocked.Decrement(ref device._open);
    }

    private sealed class Stream(InstantDevice device) : IDeviceStream
    {
        public IMemoryDevice Device => device;

        public nint Handle => 1;

        public void CopyToDevice(nint hostAddress, nint deviceAddress, long lengthBytes)
        {
        }

        public void CopyToHost(nint deviceAddress, nint hostAddress, long lengthBytes)
        {
        }

        public void CopyToDevice(nint hostAddress, long hostPitchBytes, nint deviceAddress, long devicePitchBytes, long rowBytes, long rowCount)
        {
        }

        public void CopyToHost(nint deviceAddress, long devicePitchBytes, nint hostAddress, long hostPitchBytes, long rowBytes, long rowCount)
        {
        }

        public void WaitForStream(nint handle)
        {
        }

        public void WaitForEvent(nint handle)
        {
        }

        public void MakeStreamWait(nint handle)
        {
        }

        public IDeviceFence Record() => new Fence();

        public void Dispose()
        {
        }
    }

    private sealed class Fence : IDeviceFence
    {
        public nint EventHandle => 1;

        public bool IsCompleted => true;

        public ValueTask WaitAsync(CancellationToken cancellationToken = default) => default;
    }
}
