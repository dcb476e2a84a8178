using FluentAssertions;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>
/// What every <see cref="IMemoryDevice"/> must do. Inherit it, give a device, and skip there (<c>Skip.If</c>) what this machine lacks.
/// </summary>
public abstract class MemoryDeviceContract : IDisposable
{
    private const int KiB = 1 << 10;
    private readonly List<IDisposable> _things = [];
    private IPinnedMemoryPool? _pool;

    /// <summary>The device under test: the same one for the whole of a test.</summary>
    protected abstract IMemoryDevice Device { get; }

    /// <summary>The same device as another process sees it; null (default) where that cannot be had within one process.</summary>
    protected virtual IMemoryDevice? OtherProcess => null;

    private IPinnedMemoryPool Pool => _pool ??= CreatePool();

    /// <summary>Host memory for the copies: plain memory unless overridden.</summary>
    protected virtual IPinnedMemoryPool CreatePool() => new FakePool();

    /// <summary>Called at the end of each test, when all that it made has been disposed.</summary>
    protected virtual void VerifyClean()
    {
    }

    public void Dispose()
    {
        for (var i = _things.Count - 1; i >= 0; i--)
        {
            _things[i].Dispose();
        }

        _pool?.Dispose();
        VerifyClean();
        GC.SuppressFinalize(this);
    }

    [SkippableFact]
    public void Uuid_IsInTheFormOfConfigurationAndProtocol()
    {
        Device.Uuid.Should().MatchRegex("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$");
        Device.Name.Should().MatchRegex("^[a-z]+:[0-9]+$");
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4 * KiB)]
    [InlineData(1024 * KiB + 1)]
    public async Task Copy_ThereAndBack_GivesTheSameBytes(int lengthBytes)
    {
        var stream = Stream();
        var buffer = Buffer(lengthBytes);
        var (source, target) = (Host(lengthBytes, 1), Host(lengthBytes));

        stream.CopyToDevice(source.Address, buffer.Address, lengthBytes);
        stream.CopyToHost(buffer.Address, target.Address, lengthBytes);
        await stream.Record().WaitAsync().DefaultTimeout();

        target.AsSpan<byte>().SequenceEqual(source.AsSpan<byte>()).Should().BeTrue();
        buffer.LengthBytes.Should().Be(lengthBytes);
    }

    [SkippableFact]
    public async Task Copy_IntoTheMiddle_LeavesWhatIsAround()
    {
        var stream = Stream();
        var buffer = Buffer(4 * KiB);
        var (old, added, target) = (Host(4 * KiB, 1), Host(KiB, 2), Host(4 * KiB));

        stream.CopyToDevice(old.Address, buffer.Address, 4 * KiB);
        stream.CopyToDevice(added.Address, buffer.Address + 1001, KiB);
        stream.CopyToHost(buffer.Address, target.Address, 4 * KiB);
        await stream.Record().WaitAsync().DefaultTimeout();

        added.AsSpan<byte>().CopyTo(old.AsSpan<byte>()[1001..]);
        target.AsSpan<byte>().SequenceEqual(old.AsSpan<byte>()).Should().BeTrue();
    }

    [SkippableTheory]
    [InlineData(64, 64, 64, 5)]
    [InlineData(100, 70, 64, 7)]
    [InlineData(64, 4096, 64, 33)]
    [InlineData(999, 333, 1, 100)]
    public async Task Copy_RowsWithPitches_MovesTheRowsAndNothingElse(int hostPitch, int devicePitch, int row, int rows)
    {
        var stream = Stream();
        var buffer = Buffer(devicePitch * rows);
        var (source, zeros) = (Host(hostPitch * rows, 1), Host(devicePitch * rows));
        var (onDevice, back) = (Host(devicePitch * rows), Host(hostPitch * rows));
        zeros.AsSpan<byte>().Clear();
        back.AsSpan<byte>().Clear();

        stream.CopyToDevice(zeros.Address, buffer.Address, devicePitch * rows);
        stream.CopyToDevice(source.Address, hostPitch, buffer.Address, devicePitch, row, rows);
        stream.CopyToHost(buffer.Address, onDevice.Address, devicePitch * rows);
        stream.CopyToHost(buffer.Address, devicePitch, back.Address, hostPitch, row, rows);
        await stream.Record().WaitAsync().DefaultTimeout();

        var (expectedOnDevice, expectedBack) = (new byte[devicePitch * rows], new byte[hostPitch * rows]);
        for (var i = 0; i < rows; i++)
        {
            var bytes = source.AsSpan<byte>().Slice(i * hostPitch, row);
            bytes.CopyTo(expectedOnDevice.AsSpan(i * devicePitch));
            bytes.CopyTo(expectedBack.AsSpan(i * hostPitch));
        }

        onDevice.AsSpan<byte>().SequenceEqual(expectedOnDevice).Should().BeTrue();
        back.AsSpan<byte>().SequenceEqual(expectedBack).Should().BeTrue();
    }

    [SkippableFact]
    public async Task Stream_CopiesOfOne_RunInTheirOrder()
    {
        var stream = Stream();
        var buffer = Buffer(64 * KiB);
        var target = Host(64 * KiB);
        PinnedLease last = Host(64 * KiB, 0);
        for (var i = 1; i <= 20; i++)
        {
            last = Host(64 * KiB, i);
            stream.CopyToDevice(last.Address, buffer.Address, 64 * KiB);
        }

        stream.CopyToHost(buffer.Address, target.Address, 64 * KiB);
        await stream.Record().WaitAsync().DefaultTimeout();

        target.AsSpan<byte>().SequenceEqual(last.AsSpan<byte>()).Should().BeTrue();
    }

    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Wait_ForAnotherStreamsWork_ComesAfterIt(bool byEvent)
    {
        const int Length = 8 * KiB * KiB;
        var (producer, consumer) = (Stream(), Stream());
        var buffer = Buffer(Length);
        var (source, target) = (Host(Length, 1), Host(Length));
        target.AsSpan<byte>().Clear();

        producer.CopyToDevice(source.Address, buffer.Address, Length);
        if (byEvent)
        {
            var ready = producer.Record();
            consumer.WaitForEvent(ready.EventHandle);
            GC.KeepAlive(ready);
        }
        else
        {
            consumer.WaitForStream(producer.Handle);
        }

        consumer.CopyToHost(buffer.Address, target.Address, Length);
        await consumer.Record().WaitAsync().DefaultTimeout();

        target.AsSpan<byte>().SequenceEqual(source.AsSpan<byte>()).Should().BeTrue();
    }

    [SkippableFact]
    public async Task WaitForStream_DefaultStream_GoesOn()
    {
        var stream = Stream();
        stream.WaitForStream(0);

        var fence = stream.Record();
        await fence.WaitAsync().DefaultTimeout();

        fence.IsCompleted.Should().BeTrue();
    }

    [SkippableFact]
    public async Task Record_FencesOfOneStream_CompleteInOrderAndStayCompleted()
    {
        var (stream, other) = (Stream(), Stream());
        var buffer = Buffer(256 * KiB);
        var source = Host(256 * KiB, 1);
        var fences = new List<IDeviceFence>();
        for (var i = 0; i < 10; i++)
        {
            stream.CopyToDevice(source.Address, buffer.Address, 256 * KiB);
            fences.Add(stream.Record());
        }

        await fences[^1].WaitAsync().DefaultTimeout();

        fences.Should().OnlyContain(fence => fence.IsCompleted);
        fences.Select(fence => fence.StreamKey).Distinct().Should().ContainSingle().Which.Should().NotBeNull();
        other.Record().StreamKey.Should().NotBeNull().And.NotBe(fences[0].StreamKey);
        fences.Select(fence => fence.EventHandle).Should().NotContain(0);
        await fences[0].WaitAsync().DefaultTimeout();
    }

    [SkippableFact]
    public async Task Streams_ManyAtOnce_DoNotDisturbEachOther()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(i => (Stream: Stream(), Buffer: Buffer(256 * KiB), Source: Host(256 * KiB, i), Target: Host(256 * KiB)))
            .ToArray().Select(async each =>
            {
                for (var round = 0; round < 5; round++)
                {
                    each.Target.AsSpan<byte>().Clear();
                    each.Stream.CopyToDevice(each.Source.Address, each.Buffer.Address, 256 * KiB);
                    each.Stream.CopyToHost(each.Buffer.Address, each.Target.Address, 256 * KiB);
                    await each.Stream.Record().WaitAsync();
                    each.Target.AsSpan<byte>().SequenceEqual(each.Source.AsSpan<byte>()).Should().BeTrue();
                }
            })).DefaultTimeout();
    }

    [SkippableFact]
    public void Allocate_MoreThanThereIs_IsRefused() =>
        Device.Invoking(device => device.Allocate(1L << 50)).Should().Throw<PinnedMemoryException>();

    [SkippableTheory]
    [InlineData(0)]
    [InlineData(-1)]
    public void Allocate_LengthBelowOne_Throws(long lengthBytes) =>
        Device.Invoking(device => device.Allocate(lengthBytes)).Should().Throw<ArgumentOutOfRangeException>();

    [SkippableFact]
    public void Dispose_Twice_IsANoOp()
    {
        var (buffer, stream) = (Buffer(1), Stream());
        buffer.Dispose();
        stream.Dispose();

        buffer.Invoking(each => each.Dispose()).Should().NotThrow();
        stream.Invoking(each => each.Dispose()).Should().NotThrow();
    }

    [SkippableFact]
    public void Export_IsSixtyFourBytesThatTellBuffersApart()
    {
        // 4 MiB each: a driver packs small buffers into one allocation, and a handle is the allocation's.
        var (first, second) = (Buffer(4096 * KiB).Export(), Buffer(4096 * KiB).Export());

        (first.Length, second.Length).Should().Be((64, 64));
        first.Should().NotEqual(second);
    }

    [SkippableTheory]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(65)]
    public void Import_NotSixtyFourBytes_Throws(int length) =>
        Device.Invoking(device => device.Import(new byte[length])).Should().Throw<ArgumentException>();

    [SkippableFact]
    public void Import_BytesThatAreNoHandle_IsRefused()
    {
        var bytes = new byte[64];
        new Random(1).NextBytes(bytes);

        Device.Invoking(device => device.Import(bytes)).Should().Throw<PinnedMemoryException>();
    }

    [SkippableFact]
    public async Task Import_InAnotherProcess_IsTheSameMemoryBothWays()
    {
        var other = Other();
        var buffer = Buffer(64 * KiB);
        var imported = Keep(other.Import(buffer.Export()));
        var (mine, theirs) = (Stream(), Keep(other.CreateStream()));
        var (source, target) = (Host(64 * KiB, 1), Host(64 * KiB));

        mine.CopyToDevice(source.Address, buffer.Address, 64 * KiB);
        await mine.Record().WaitAsync().DefaultTimeout();
        theirs.CopyToHost(imported.Address, target.Address, 64 * KiB);
        theirs.CopyToDevice(target.Address + KiB, imported.Address, KiB);
        await theirs.Record().WaitAsync().DefaultTimeout();
        target.AsSpan<byte>().SequenceEqual(source.AsSpan<byte>()).Should().BeTrue();
        mine.CopyToHost(buffer.Address, target.Address, KiB);
        await mine.Record().WaitAsync().DefaultTimeout();

        target.GetSpan(0, KiB).SequenceEqual(source.GetSpan(KiB, KiB)).Should().BeTrue();
        imported.LengthBytes.Should().BeGreaterThanOrEqualTo(64 * KiB);
        imported.Invoking(each => each.Export()).Should().Throw<InvalidOperationException>();
    }

    [SkippableFact]
    public void Import_MemoryThatWasFreed_IsRefused()
    {
        var other = Other();
        var buffer = Buffer(4096 * KiB);
        var handle = buffer.Export();
        buffer.Dispose();

        other.Invoking(device => device.Import(handle)).Should().Throw<PinnedMemoryException>();
    }

    private IMemoryDevice Other()
    {
        Skip.If(OtherProcess is null, "Another process's view of the device cannot be had within this one.");
        return OtherProcess!;
    }

    private IDeviceStream Stream() => Keep(Device.CreateStream());

    private IDeviceBuffer Buffer(long lengthBytes) => Keep(Device.Allocate(lengthBytes));

    private PinnedLease Host(int lengthBytes, int? seed = null)
    {
        var lease = Pool.Rent(lengthBytes);
        _things.Add(lease);
        if (seed is { } value)
        {
            new Random(value).NextBytes(lease.AsSpan<byte>());
        }

        return lease;
    }

    private T Keep<T>(T thing)
        where T : IDisposable
    {
        _things.Add(thing);
        return thing;
    }
}
