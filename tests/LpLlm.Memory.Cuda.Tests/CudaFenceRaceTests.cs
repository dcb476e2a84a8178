using System.Threading.Channels;
using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

/// <summary>One thread enqueues, records and disposes while others ask, await and take events, as pools and consumers do.</summary>
public sealed class CudaFenceRaceTests
{
    private const int Copies = 2000;
    private const int Askers = 4;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task P3_AskedByManyWhileWorkIsEnqueued_AFenceCompletesBehindItsWorkAndAlways(int seed)
    {
        var driver = new SimulatedCudaDriver(seed);
        var device = new CudaRuntime(driver).Devices[0];
        using var buffer = device.Allocate(Copies);
        using var source = new HostBytes(Copies);
        source.Span.Fill(7);
        var fences = Channel.CreateUnbounded<(IDeviceFence Fence, int Slot)>();
        var asking = Enumerable.Range(0, Askers).Select(asker => Task.Run(() => AskAsync(asker))).ToArray();

        var stream = device.CreateStream();
        for (var slot = 0; slot < Copies; slot++)
        {
            stream.CopyToDevice(source.Address + slot, buffer.Address + slot, 1);
            fences.Writer.TryWrite((stream.Record(), slot));
            if (slot % 100 == 99)
            {
                stream.Dispose(); // with fences outstanding, and askers in the middle of it
                stream = device.CreateStream();
            }
        }

        fences.Writer.Complete();
        stream.Dispose();
        await Task.WhenAll(asking).DefaultTimeout();

        await TestTimeouts.UntilAsync(() => driver.LiveEvents == 0);

        async Task AskAsync(int asker)
        {
            await foreach (var (fence, slot) in fences.Reader.ReadAllAsync())
            {
                if (asker % 2 == 0)
                {
                    SpinWait.SpinUntil(() => fence.IsCompleted, TimeSpan.FromSeconds(30)).Should().BeTrue();
                }
                else
                {
                    TakeEvent(fence);
                    await fence.WaitAsync().DefaultTimeout();
                }

                Read(buffer, slot).Should().Be(7, "the fence of slot {0} is behind its copy", slot);
            }
        }
    }

    [Fact]
    public async Task Dispose_AnEventIsBeingRecordedMeanwhile_ThatIsDestroyedToo()
    {
        using var recording = new ManualResetEventSlim();
        using var proceed = new ManualResetEventSlim();
        var driver = new SimulatedCudaDriver();
        var stream = new CudaRuntime(driver).Devices[0].CreateStream();
        var fence = stream.Record();
        var calls = 0;
        driver.Recording = () =>
        {
            if (Interlocked.Increment(ref calls) == 1)
            {
                recording.Set();
                proceed.Wait(TimeSpan.FromSeconds(30));
            }
        };
        var taking = Task.Factory.StartNew(() => fence.EventHandle, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        recording.Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();

        stream.Dispose();
        await TestTimeouts.UntilAsync(() => driver.LiveEvents == 1 && fence.IsCompleted);
        proceed.Set();

        (await taking.DefaultTimeout()).Should().NotBe(0);
        await TestTimeouts.UntilAsync(() => driver.LiveEvents == 0);
    }

    private static void TakeEvent(IDeviceFence fence)
    {
        try
        {
            fence.EventHandle.Should().NotBe(0);
        }
        catch (ObjectDisposedException)
        {
            fence.IsCompleted.Should().BeTrue("only then is the event gone with its stream");
        }
    }

    private static unsafe byte Read(IDeviceBuffer buffer, int slot) => ((byte*)buffer.Address)[slot];
}
