using System.Collections.Concurrent;
using LpLlm.Memory.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Models;

/// <summary>Whose parts are read first, and what a slow read delays.</summary>
public sealed class ReadPoolTests
{
    [Fact]
    public async Task U10_Load_OfHigherPriority_IsReadFirst()
    {
        var order = new ConcurrentQueue<string>();
        using var gate = new ReadGate();
        var disk = NewDisk((model, offset) =>
        {
            order.Enqueue(model);
            gate.Pass(model, offset);
        });
        await using var catalog = NewCatalog(disk, threadCount: 1);
        var low = catalog.LoadAsync("low", RentPriority.Low);
        await gate.Reached.DefaultTimeout();
        using var high = await catalog.UseWhileLoadingAsync("high", RentPriority.High).DefaultTimeout();
        await TestTimeouts.UntilAsync(() => disk.OpenFiles == 2);
        gate.Open();

        await Task.WhenAll(low, high.Loaded).DefaultTimeout();

        // The first read of the low one ran, and at most one more began before the other's job was in the queue.
        var reads = order.ToArray();
        var lastHigh = Array.LastIndexOf(reads, "high");
        reads.Take(lastHigh).Count(model => model == "low").Should().BeLessThanOrEqualTo(2);
        reads.Count(model => model == "low").Should().BeGreaterThanOrEqualTo(8);
    }

    [Fact]
    public async Task U10_Load_JoinedWithHigherPriority_IsRaised()
    {
        var order = new ConcurrentQueue<string>();
        using var gate = new ReadGate();
        var disk = NewDisk((model, offset) =>
        {
            order.Enqueue(model);
            gate.Pass(model, offset);
        });
        await using var catalog = NewCatalog(disk, threadCount: 1);
        var first = catalog.LoadAsync("high", RentPriority.Normal);
        await gate.Reached.DefaultTimeout();
        using var second = await catalog.UseWhileLoadingAsync("low", RentPriority.Low).DefaultTimeout();
        using var joined = await catalog.UseWhileLoadingAsync("low", RentPriority.High).DefaultTimeout();
        await TestTimeouts.UntilAsync(() => disk.OpenFiles == 2);
        gate.Open();

        await Task.WhenAll(first, second.Loaded).DefaultTimeout();

        var reads = order.ToArray();
        reads.Take(Array.LastIndexOf(reads, "low")).Count(model => model == "high").Should().BeLessThanOrEqualTo(2);
    }

    [Fact]
    public async Task U10_Load_OneReadHangs_TheOtherThreadsReadAllElse()
    {
        using var gate = new ReadGate();
        var disk = NewDisk((model, offset) =>
        {
            if (offset == 0)
            {
                gate.Pass(model, offset);
            }
        });
        await using var catalog = NewCatalog(disk, threadCount: 2);
        using var use = await catalog.UseWhileLoadingAsync("low").DefaultTimeout();

        await TestTimeouts.UntilAsync(() => use.Pieces.LoadedBytes == (1 << 19) - (64 << 10));

        use.Loaded.IsCompleted.Should().BeFalse();
        gate.Open();
        await use.Loaded.DefaultTimeout();
    }

    [Fact]
    public async Task Load_Cancelled_ReadsNoFurtherPart()
    {
        using var gate = new ReadGate();
        using var patience = new CancellationTokenSource();
        var parts = new ConcurrentDictionary<long, bool>();
        var disk = NewDisk((model, offset) =>
        {
            parts.TryAdd(offset / (64 << 10), true);
            gate.Pass(model, offset);
        });
        var memory = new NativeModelMemory();
        await using var catalog = new ModelCatalog(
            Catalogs.Settings("/models", threadCount: 1), memory, disk, TimeProvider.System, NullLogger.Instance);
        var load = catalog.LoadAsync("low", RentPriority.Normal, patience.Token);
        await gate.Reached.DefaultTimeout();
        await patience.CancelAsync();
        await ((Func<Task>)(() => load.DefaultTimeout())).Should().ThrowAsync<OperationCanceledException>();
        memory.LiveCount.Should().Be(1, "a read that runs writes into it");
        gate.Open();

        await TestTimeouts.UntilAsync(() => memory.LiveCount == 0);

        parts.Should().HaveCount(1);
    }

    private static FakeDisk NewDisk(Action<string, long> reading)
    {
        var disk = new FakeDisk { Reading = reading };
        disk.Add("low", 1 << 19);
        disk.Add("high", 1 << 19);
        return disk;
    }

    private static ModelCatalog NewCatalog(FakeDisk disk, int threadCount) => new(
        Catalogs.Settings("/models", threadCount: threadCount), new NativeModelMemory(), disk, TimeProvider.System, NullLogger.Instance);
}
