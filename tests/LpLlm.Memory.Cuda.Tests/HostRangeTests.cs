using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

/// <summary>What one use registers at once. The driver keeps books only and refuses overlaps, so that addresses need no memory behind them.</summary>
public sealed class HostRangeTests
{
    private const long SliceBytes = 16L << 20;
    private const int SliceCount = 200; // 3.1 GiB, of which the last slice lacks a page
    private const long LengthBytes = SliceCount * SliceBytes - 4096;

    private static readonly nint Address = unchecked((nint)0x7000_0000_0000);

    private readonly SimulatedCudaDriver _driver = new();
    private readonly HostRegistrar _registrar;
    private readonly HostRange _range;

    public HostRangeTests()
    {
        _registrar = new HostRegistrar(new CudaRuntime(_driver));
        _range = new HostRange(_registrar, Address, LengthBytes, SliceBytes);
    }

    [Fact]
    public void Use_ManyNewSlices_AreOneRegistrationAsLongAsTheUse()
    {
        Use(10 * SliceBytes + 5, 20 * SliceBytes).Should().Be(21 * SliceBytes - 5, "the use ends in the slice that is the 21st");

        Runs().Should().Equal((10, 31));
        Use(30 * SliceBytes, 1).Should().Be(SliceBytes, "a later use may go on up to where the registration ends");
        Runs().Should().Equal((10, 31));
    }

    [Fact]
    public void Use_LongerThanOneGiB_IsRegisteredByOneGiB()
    {
        UseAll(4096, 2L << 30);

        Runs().Should().Equal((0, 64), (64, 128), (128, 129));
    }

    [Fact]
    public void Use_UpToTheEndAndBeyond_EndsWithTheRange()
    {
        Use(198 * SliceBytes, long.MaxValue).Should().Be(2 * SliceBytes - 4096);

        _registrar.RegisteredBytes.Should().Be(2 * SliceBytes - 4096);
    }

    [Fact]
    public void Use_AroundASliceThatIsRegistered_AddsWhatIsBeforeAndBehindIt()
    {
        Use(5 * SliceBytes, 64);

        Use(0, 8 * SliceBytes).Should().Be(5 * SliceBytes);
        UseAll(0, 8 * SliceBytes);

        Runs().Should().Equal((0, 5), (5, 6), (6, 8));
    }

    [Fact]
    public void Use_Refused_LeavesNothingRegisteredAndALaterOneWorks()
    {
        _driver.Registering = (_, _, _) => CudaError.OutOfMemory;
        FluentActions.Invoking(() => Use(SliceBytes, 8 * SliceBytes)).Should().Throw<CudaException>();
        _registrar.RegisteredBytes.Should().Be(0);

        _driver.Registering = null;
        UseAll(3 * SliceBytes, SliceBytes);
        UseAll(0, 10 * SliceBytes);

        Runs().Should().Equal((0, 3), (3, 4), (4, 10));
    }

    [Fact]
    public void Unregister_OneRunIsRefused_TheOthersGoAndItStaysUsable()
    {
        UseAll(0, 2 * SliceBytes);
        UseAll(2 * SliceBytes, 3 * SliceBytes);
        UseAll(9 * SliceBytes, SliceBytes);
        _driver.Unregistering = address => address == Address + (nint)(2 * SliceBytes) ? 999 : 0;

        _range.Unregister().Should().ContainSingle().Which.ErrorCode.Should().Be(999);

        Runs().Should().Equal((2, 5));
        _registrar.RegisteredBytes.Should().Be(3 * SliceBytes);
        UseAll(0, 6 * SliceBytes);
        Runs().Should().Equal((0, 2), (2, 5), (5, 6));
        _driver.Unregistering = null;
        _range.Unregister().Should().BeEmpty();
        _driver.Registered.Should().BeEmpty();
        _registrar.RegisteredBytes.Should().Be(0);
    }

    [Theory]
    [InlineData(CudaError.Success)]
    [InlineData(CudaError.OutOfMemory)]
    public async Task Use_AnotherIsRegisteringItsFirstSlices_WaitsAndRegistersWhatThatLeft(int code)
    {
        using var proceed = new ManualResetEventSlim();
        var entered = NewSignal();
        _driver.Registering = (address, _, _) =>
        {
            if (address != Address)
            {
                return CudaError.Success;
            }

            entered.SetResult();
            return proceed.Wait(TimeSpan.FromSeconds(30)) ? code : 999;
        };
        var first = Start(() => UseAll(0, 4 * SliceBytes));
        await entered.Task.DefaultTimeout();
        var started = NewSignal();
        var second = Start(() =>
        {
            started.SetResult();
            UseAll(2 * SliceBytes, 4 * SliceBytes);
        });
        await started.Task.DefaultTimeout();

        proceed.Set();
        await second.DefaultTimeout();

        if (code == CudaError.Success)
        {
            await first.DefaultTimeout();
            Runs().Should().Equal((0, 4), (4, 6));
        }
        else
        {
            (await first.Awaiting(each => each.DefaultTimeout()).Should().ThrowAsync<CudaException>()).Which.ErrorCode.Should().Be(code);
            Runs().Should().Equal((2, 6));
        }
    }

    [Fact]
    public async Task Use_SlicesInTheMiddleAreBeingRegistered_TakesThoseBeforeMeanwhile()
    {
        using var proceed = new ManualResetEventSlim();
        var (entered, before) = (NewSignal(), NewSignal());
        _driver.Registering = (address, _, _) =>
        {
            (address == Address ? before : entered).TrySetResult();
            return address != Address + (nint)(2 * SliceBytes) || proceed.Wait(TimeSpan.FromSeconds(30)) ? 0 : 999;
        };
        var middle = Start(() => UseAll(2 * SliceBytes, 2 * SliceBytes));
        await entered.Task.DefaultTimeout();

        var all = Start(() => UseAll(0, 6 * SliceBytes));
        await before.Task.DefaultTimeout();
        proceed.Set();
        await Task.WhenAll(middle, all).DefaultTimeout();

        Runs().Should().Equal((0, 2), (2, 4), (4, 6));
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static Task Start(Action action) =>
        Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private long Use(long offset, long lengthBytes) => _range.Use(Address + (nint)offset, lengthBytes);

    private void UseAll(long offset, long lengthBytes)
    {
        for (long at = 0; at < lengthBytes;)
        {
            at += Use(offset + at, lengthBytes - at);
        }
    }

    /// <summary>The driver's registrations, as first slice and slice behind.</summary>
    private List<(long First, long End)> Runs() => _driver.Registered.OrderBy(each => each.Key)
        .Select(each => ((each.Key - Address) / SliceBytes, (each.Key - Address + each.Value) / SliceBytes)).ToList();
}
