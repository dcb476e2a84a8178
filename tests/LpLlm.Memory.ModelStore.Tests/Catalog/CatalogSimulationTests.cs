using LpLlm.Memory.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Models;

/// <summary>Seeded histories of calls, one after the other against an oracle that knows every answer, and all at once against what must always hold.</summary>
public sealed class CatalogSimulationTests
{
    private const int PageBytes = 4096;
    private static readonly string[] Models = ["a", "b", "c", "d", "e"];

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    public async Task Calls_OneAfterTheOther_AnswerAsTheOracle(int block, bool registrationRequired)
    {
        for (var seed = block * 1000; seed < (block + 1) * 1000; seed++)
        {
            await PlayAsync(seed, registrationRequired);
        }
    }

    [Fact]
    public async Task Calls_AllAtOnce_NeverLoseMemoryNorShowWrongBytes()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            await RaceAsync(seed);
        }
    }

    private static async Task PlayAsync(int seed, bool registrationRequired)
    {
        var random = new Random(seed);
        var disk = new FakeDisk();
        var memory = new NativeModelMemory { CapacityBytes = 6 * PageBytes };
        var oracle = new CatalogOracle(6, registrationRequired, floorPages: random.Next(3));
        foreach (var (model, index) in Models.Select((model, index) => (model, index)))
        {
            disk.Add(model, (index + 1) * PageBytes);
            oracle.Add(model, index + 1);
        }

        disk.Reading = (model, _) =>
        {
            if (oracle.IsBroken(model))
            {
                throw new IOException("Input/output error");
            }
        };
        var uses = new List<(string Model, ModelUse Use)>();
        await using (var catalog = new ModelCatalog(
            Catalogs.Settings("/models", threadCount: 1, registrationRequired: registrationRequired, floorBytes: oracle.FloorPages * PageBytes),
            memory, disk, TimeProvider.System, NullLogger.Instance))
        {
            for (var step = 0; step < 40; step++)
            {
                var model = Models[random.Next(Models.Length)];
                var what = $"seed {seed}, step {step}, model {model}";
                switch (random.Next(10))
                {
                    case 0:
                        (await Faults.OfAsync(() => catalog.RegisterAsync(model).AsTask())).Should().Be(oracle.Register(model), what);
                        break;
                    case 1 or 2:
                        (await Faults.OfAsync(() => catalog.LoadAsync(model, RentPriority.Normal))).Should().Be(oracle.Load(model), what);
                        break;
                    case 3 or 4:
                        ModelUse? use = null;
                        (await Faults.OfAsync(async () => use = await catalog.UseAsync(model))).Should().Be(oracle.Use(model), what);
                        if (use is not null)
                        {
                            FakeDisk.IsIn(model, use).Should().BeTrue(what);
                            uses.Add((model, use));
                        }

                        break;
                    case 5 when uses.Count > 0:
                        var (used, last) = uses[random.Next(uses.Count)];
                        uses.Remove((used, last));
                        last.Dispose();
                        oracle.EndUse(used);
                        break;
                    case 6:
                        (await Faults.OfAsync(() => catalog.UnloadAsync(model).AsTask())).Should().Be(oracle.Unload(model), what);
                        break;
                    case 7:
                        (await Faults.OfAsync(() => catalog.ConfirmAsync(model))).Should().Be(oracle.Confirm(model), what);
                        break;
                    case 8:
                        var pages = random.Next(1, 5);
                        catalog.Evict(pages * PageBytes).Should().Be(oracle.Evict(pages) * PageBytes, what);
                        break;
                    case 9 when random.Next(3) == 0:
                        await catalog.ClearAsync().DefaultTimeout();
                        oracle.Clear();
                        break;
                    default:
                        oracle.BreakOrMend(model);
                        break;
                }

                catalog.List().Select(status => (status.Model, status.State, status.IsRegistered, status.UseCount))
                    .Should().Equal(oracle.List(), what);
                memory.UsedBytes.Should().Be(oracle.UsedPages * PageBytes, what);
            }

            uses.ForEach(use => use.Use.Dispose());
        }

        memory.LiveCount.Should().Be(0, $"seed {seed}");
        disk.OpenFiles.Should().Be(0, $"seed {seed}");
    }

    private static async Task RaceAsync(int seed)
    {
        var disk = new FakeDisk { IsDirect = seed % 2 == 0 };
        var reads = 0;
        foreach (var (model, index) in Models.Select((model, index) => (model, index)))
        {
            disk.Add(model, 5000, (index + 1) * PageBytes, 10_000);
        }

        disk.Reading = (_, _) =>
        {
            if (Interlocked.Increment(ref reads) % 23 == seed % 23)
            {
                throw new IOException("Input/output error");
            }
        };
        var memory = new NativeModelMemory { CapacityBytes = 20 * PageBytes, ExtentBytes = 2 * PageBytes };
        await using (var catalog = new ModelCatalog(
            Catalogs.Settings("/models", readBytes: PageBytes, threadCount: 2), memory, disk, TimeProvider.System, NullLogger.Instance))
        {
            var clients = Enumerable.Range(0, 4).Select(client => Task.Run(() => ActAsync(catalog, new Random((seed * 4) + client), $"seed {seed}")));
            await Task.WhenAll(clients).DefaultTimeout();
        }

        memory.LiveCount.Should().Be(0, $"seed {seed}");
        memory.GuardBroken.Should().BeFalse($"seed {seed}");
        disk.OpenFiles.Should().Be(0, $"seed {seed}");
    }

    private static async Task ActAsync(ModelCatalog catalog, Random random, string what)
    {
        for (var step = 0; step < 25; step++)
        {
            var model = Models[random.Next(Models.Length)];
            using var patience = new CancellationTokenSource();
            if (random.Next(4) == 0)
            {
                patience.CancelAfter(TimeSpan.FromMilliseconds(random.NextDouble()));
            }

            try
            {
                switch (random.Next(8))
                {
                    case 0:
                        await catalog.LoadAsync(model, (RentPriority)random.Next(-1, 2), patience.Token);
                        break;
                    case 1:
                        await catalog.ConfirmAsync(model, patience.Token);
                        break;
                    case 2:
                        await catalog.UnloadAsync(model, patience.Token);
                        break;
                    case 3:
                        catalog.Evict(random.Next(20) * PageBytes);
                        break;
                    case 4 when random.Next(4) == 0:
                        await catalog.ClearAsync(patience.Token);
                        break;
                    case 5:
                        using (var loading = await catalog.UseWhileLoadingAsync(model, cancellationToken: patience.Token))
                        {
                            var bytes = await loading.Pieces.ReadAllAsync(patience.Token).Select(piece => piece.LengthBytes).SumAsync();
                            bytes.Should().Be((int)loading.LengthBytes, what);
                            await loading.Loaded;
                            FakeDisk.IsIn(model, loading).Should().BeTrue(what);
                        }

                        break;
                    default:
                        using (var use = await catalog.UseAsync(model, cancellationToken: patience.Token))
                        {
                            FakeDisk.IsIn(model, use).Should().BeTrue(what);
                        }

                        break;
                }
            }
            catch (ModelStoreException e)
            {
                e.Fault.Should().BeOneOf([ModelStoreFault.InUse, ModelStoreFault.NoRoom, ModelStoreFault.NotFound, ModelStoreFault.Unreadable], what);
            }
            catch (OperationCanceledException)
            {
                patience.IsCancellationRequested.Should().BeTrue(what);
            }
        }
    }
}
