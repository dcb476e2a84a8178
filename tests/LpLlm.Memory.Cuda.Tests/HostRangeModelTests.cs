using FsCheck;
using FsCheck.Fluent;
using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

/// <summary>Any uses and refusals, one after the other against a model and many at once. The driver refuses whatever overlaps.</summary>
public sealed class HostRangeModelTests
{
    private const long SliceBytes = 256L << 20; // four are the most that one call registers
    private const int SliceCount = 16;
    private const long LengthBytes = SliceCount * SliceBytes - 4096;

    private static readonly nint Address = unchecked((nint)0x7000_0000_0000);

    [Fact]
    public void UseAndUnregister_AnyOrderWithRefusals_AgreeWithAModel() => Prop.ForAll(
        (from steps in
             (from kind in Gen.Choose(0, 9)
              from offset in Gen.Choose(0, (int)(LengthBytes / 4096) - 1)
              from length in Gen.OneOf(Gen.Choose(1, 4096), Gen.Choose(1, (int)(LengthBytes / 4096)))
              select (kind, offset * 4096L, length * 4096L)).ListOf(20)
         select steps).ToArbitrary(),
        steps => Run(steps)).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    [Fact]
    public async Task Use_ManyThreadsWithRefusals_RegistersEveryByteOnce()
    {
        for (var seed = 0; seed < 30; seed++)
        {
            var driver = new SimulatedCudaDriver();
            var registrar = new HostRegistrar(new CudaRuntime(driver));
            var range = new HostRange(registrar, Address, LengthBytes, SliceBytes);
            var calls = 0;
            driver.Registering = (_, _, _) =>
            {
                Thread.Yield();
                return Interlocked.Increment(ref calls) % 4 == 0 ? CudaError.OutOfMemory : CudaError.Success;
            };
            using var start = new Barrier(4);
            var threads = Enumerable.Range(seed * 4, 4).Select(each => Task.Factory.StartNew(
                () => UseAtRandom(range, driver, start, each), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();

            var used = (await Task.WhenAll(threads).DefaultTimeout()).SelectMany(each => each).ToHashSet();

            registrar.RegisteredBytes.Should().Be(used.Sum(LengthOf)).And.Be(driver.Registered.Values.Sum());
            range.Unregister().Should().BeEmpty();
            driver.Registered.Should().BeEmpty();
            registrar.RegisteredBytes.Should().Be(0);
        }
    }

    private static void Run(IEnumerable<(int Kind, long Offset, long LengthBytes)> steps)
    {
        var driver = new SimulatedCudaDriver();
        var registrar = new HostRegistrar(new CudaRuntime(driver));
        var range = new HostRange(registrar, Address, LengthBytes, SliceBytes);
        var model = new SortedDictionary<int, int>(); // first slice of each run, and the slice behind it
        foreach (var (kind, offset, lengthBytes) in steps)
        {
            var slice = (int)(offset / SliceBytes);
            driver.Registering = (_, _, _) => kind == 0 ? CudaError.OutOfMemory : CudaError.Success;
            driver.Unregistering = address => kind == 1 && address == Address + (nint)(slice * SliceBytes) ? 999 : CudaError.Success;
            var isNew = !model.Any(run => run.Key <= slice && slice < run.Value);
            if (kind == 1)
            {
                range.Unregister().Should().HaveCount(model.ContainsKey(slice) ? 1 : 0);
                model = new(model.Where(run => run.Key == slice).ToDictionary(run => run.Key, run => run.Value));
            }
            else if (kind == 0 && isNew)
            {
                FluentActions.Invoking(() => range.Use(Address + (nint)offset, lengthBytes)).Should().Throw<CudaException>();
            }
            else
            {
                if (isNew)
                {
                    var reached = (int)((Math.Min(offset + lengthBytes, LengthBytes) - 1) / SliceBytes) + 1;
                    var next = model.Keys.FirstOrDefault(first => first > slice, SliceCount);
                    model[slice] = Math.Min(Math.Min(reached, next), slice + 4);
                }

                var end = model.Last(run => run.Key <= slice).Value;
                range.Use(Address + (nint)offset, lengthBytes).Should().Be(Math.Min(end * SliceBytes, LengthBytes) - offset);
            }

            driver.Registered.OrderBy(each => each.Key).Select(each => (each.Key, each.Value)).Should().Equal(
                model.Select(run => (Address + (nint)(run.Key * SliceBytes), Enumerable.Range(run.Key, run.Value - run.Key).Sum(LengthOf))));
            registrar.RegisteredBytes.Should().Be(driver.Registered.Values.Sum());
        }
    }

    /// <returns>The slices that it used.</returns>
    private static HashSet<int> UseAtRandom(HostRange range, SimulatedCudaDriver driver, Barrier start, int seed)
    {
        var random = new Random(seed);
        var used = new HashSet<int>();
        start.SignalAndWait(TimeSpan.FromSeconds(30)).Should().BeTrue();
        for (var i = 0; i < 6; i++)
        {
            var first = random.Next(SliceCount);
            var end = Math.Min(first + random.Next(1, 7), SliceCount);
            used.UnionWith(Enumerable.Range(first, end - first));
            for (var at = first * SliceBytes; at < Math.Min(end * SliceBytes, LengthBytes);)
            {
                try
                {
                    at += range.Use(Address + (nint)at, end * SliceBytes - at);
                    driver.Registered.Select(run => run.Key + run.Value).Should().Contain(Address + at, "a use ends where a registration does");
                }
                catch (CudaException refusal) when (refusal.ErrorCode == CudaError.OutOfMemory)
                {
                    // as the test has the driver answer; this tries again
                }
            }
        }

        return used;
    }

    private static long LengthOf(int slice) => Math.Min(SliceBytes, LengthBytes - slice * SliceBytes);
}
