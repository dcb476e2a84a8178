namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>
/// The ordering contract on a device that is busy: producer, copy, fence, host, copy back, consumer, return. <c>LPLLM_LEAVE_OUT</c> = producer,
/// copy, consumer or return leaves that wait out, and the test must fail: that is how it is shown that it could.
/// </summary>
[Trait("Category", "Gpu")]
public sealed class GpuOrderingTests
{
    private const int Length = 64 << 20;
    private const long BusyBytes = 1L << 30;

    private static readonly string? LeftOut = Environment.GetEnvironmentVariable("LPLLM_LEAVE_OUT");

    [SkippableFact]
    public async Task P2_P3_P4_BusyDevice_EveryStageSeesTheOneBefore()
    {
        var device = GpuFact.Device;
        await using var pools = new GpuPools(Length);
        await using var other = new GpuPools(Length);
        using var producer = device.CreateStream(); // stands for the caller's: only its handle is used
        using var consumer = device.CreateStream();
        using var copies = device.CreateStream();
        using var busy = device.Allocate(BusyBytes);
        using var buffer = device.Allocate(Length);
        using var result = device.Allocate(Length);
        using var seen = other.Pool.Rent(Length);
        for (byte round = 1; round <= 5; round++)
        {
            var lease = pools.Pool.Rent(Length);
            using var atTheLatest = new Returning(lease, copies);
            lease.AsSpan<byte>().Clear();
            Produce(producer.Handle, busy.Address, buffer.Address, round);
            if (LeftOut != "producer")
            {
                copies.WaitForStream(producer.Handle);
            }

            copies.CopyToHost(buffer, 0, lease, 0, Length);
            if (LeftOut != "copy")
            {
                await copies.Record().WaitAsync().DefaultTimeout();
            }

            lease.AsSpan<byte>().IndexOfAnyExcept(round).Should().Be(-1, "the host reads what was produced in round {0}", round);
            lease.AsSpan<byte>().Fill((byte)(round + 100));
            BeBusy(producer.Handle, busy.Address);
            copies.WaitForStream(producer.Handle); // the copy back is late, so that whoever does not wait for it shows
            copies.CopyToDevice(lease, 0, buffer, 0, Length);
            if (LeftOut != "consumer")
            {
                copies.MakeStreamWait(consumer.Handle);
            }

            Check(DriverCalls.cuMemcpyDtoDAsync_v2(result.Address, buffer.Address, Length, consumer.Handle));
            if (LeftOut == "return")
            {
                lease.Dispose();
            }
            else
            {
                lease.ReturnAfter(copies.Record());
            }

            using (var next = await pools.Pool.RentAsync(new RentRequest(Length) { Timeout = TimeSpan.FromSeconds(20) }).DefaultTimeout())
            {
                next.AsSpan<byte>().Fill(0xEE); // the pool has room for one: this is the same memory
            }

            Check(DriverCalls.cuStreamSynchronize(consumer.Handle));
            await seen.CopyToHostAsync(copies, result).DefaultTimeout();
            seen.AsSpan<byte>().IndexOfAnyExcept((byte)(round + 100)).Should().Be(-1, "the consumer reads what the host wrote in round {0}", round);
            Check(DriverCalls.cuMemsetD8Async(result.Address, 0, Length, consumer.Handle));
            Check(DriverCalls.cuStreamSynchronize(consumer.Handle));
        }
    }

    [SkippableFact]
    public async Task P2_ReturnAfter_ManySmallCopiesOnFourStreams_NothingIsOverwrittenBeforeItIsRead()
    {
        const int Block = 64 << 10;
        var device = GpuFact.Device;
        await using var pools = new GpuPools(1 << 20); // 16 blocks for 4 streams: memory comes back under pressure
        var streams = Enumerable.Range(0, 4).Select(_ => device.CreateStream()).ToList();
        using var buffer = device.Allocate(2000L * Block);
        for (var i = 0; i < 2000; i++)
        {
            var lease = await pools.Pool.RentAsync(new RentRequest(Block) { Timeout = TimeSpan.FromSeconds(20) }).DefaultTimeout();
            lease.AsSpan<int>().Fill(i);
            streams[i % 4].CopyToDevice(lease, 0, buffer, (long)i * Block, Block);
            lease.ReturnAfter(streams[i % 4].Record());
        }

        foreach (var stream in streams)
        {
            await stream.Record().WaitAsync().DefaultTimeout();
        }

        using (var back = await pools.Pool.RentAsync(new RentRequest(Block) { Timeout = TimeSpan.FromSeconds(20) }).DefaultTimeout())
        {
            for (var i = 0; i < 2000; i++)
            {
                await back.CopyToHostAsync(0, Block, streams[0], buffer, (long)i * Block).DefaultTimeout();
                back.AsSpan<int>().IndexOfAnyExcept(i).Should().Be(-1, "block {0} holds what was copied there", i);
            }
        }

        streams.ForEach(stream => stream.Dispose());
    }

    private static void Produce(nint stream, nint busy, nint target, byte value)
    {
        BeBusy(stream, busy);
        Check(DriverCalls.cuMemsetD8Async(target, value, Length, stream));
    }

    /// <summary>Some 20 ms of writing on an H100.</summary>
    private static void BeBusy(nint stream, nint busy)
    {
        for (var i = 0; i < 64; i++)
        {
            Check(DriverCalls.cuMemsetD8Async(busy, (byte)i, (nint)BusyBytes, stream));
        }
    }

    private static void Check(int code) => code.Should().Be(0);

    /// <summary>Returns the lease behind all copies where the test has failed before: else the pool's complaint would hide the failure.</summary>
    private sealed class Returning(PinnedLease lease, IDeviceStream copies) : IDisposable
    {
        public void Dispose()
        {
            if (!lease.IsReturned)
            {
                lease.ReturnAfter(copies.Record());
            }
        }
    }
}
