using System.Collections.Concurrent;
using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

/// <summary>The driver is simulated and only keeps books, so that addresses need no memory behind them.</summary>
public sealed class CudaHostPinnerTests : IDisposable
{
    private static readonly nint Address = unchecked((nint)0x7000_0000_0000);
    private const long MiB = 1L << 20;
    private const long GiB = 1L << 30;

    private readonly SimulatedCudaDriver _driver = new();
    private readonly CudaRuntime _runtime;
    private readonly CudaHostPinner _eager;
    private readonly CudaHostPinner _lazy;

    public CudaHostPinnerTests()
    {
        _runtime = new CudaRuntime(_driver);
        _eager = new CudaHostPinner(_runtime, new CudaHostMemoryOptions());
        _lazy = new CudaHostPinner(_runtime, new CudaHostMemoryOptions { Registration = HostRegistration.Lazy });
    }

    public void Dispose()
    {
        _eager.Dispose();
        _lazy.Dispose();
    }

    [Theory]
    [InlineData(4096)]
    [InlineData(300 * MiB)]
    [InlineData(GiB)]
    public void Pin_Eager_RegistersEveryByteOnceForAllContexts(long lengthBytes)
    {
        var flags = new ConcurrentQueue<uint>();
        _driver.Registering = (_, _, each) =>
        {
            flags.Enqueue(each);
            return 0;
        };

        _eager.Pin(Address, lengthBytes);

        var registered = _driver.Registered.OrderBy(each => each.Key).ToList();
        registered[0].Key.Should().Be(Address);
        registered.Zip(registered.Skip(1)).All(pair => pair.First.Key + (nint)pair.First.Value == pair.Second.Key).Should().BeTrue();
        registered.Sum(each => each.Value).Should().Be(lengthBytes);
        flags.Should().OnlyContain(each => each == 1);
        _eager.RegisteredBytes.Should().Be(lengthBytes);
        _eager.Unpin(Address, lengthBytes);
        _driver.Registered.Should().BeEmpty();
        _eager.RegisteredBytes.Should().Be(0);
    }

    [Fact]
    public void Pin_Refused_ThrowsAndTheRangeIsAsBefore()
    {
        _driver.Registering = (_, _, _) => CudaError.OutOfMemory;

        var error = _eager.Invoking(pinner => pinner.Pin(Address, GiB)).Should().Throw<MemorySourceException>().Which;

        error.Operation.Should().Be("cuMemHostRegister");
        error.NativeErrorName.Should().Be("SIMULATED_2");
        error.InnerException.Should().BeOfType<CudaException>();
        _driver.Registered.Should().BeEmpty();
        _driver.Registering = null;
        _eager.Pin(Address, GiB);
        _eager.Unpin(Address, GiB);
    }

    [Fact]
    public void Unpin_Refused_ThrowsAndTheRangeStaysInTheBooks()
    {
        _eager.Pin(Address, GiB);
        _driver.Failures["cuMemHostUnregister"] = 999;

        _eager.Invoking(pinner => pinner.Unpin(Address, GiB)).Should().Throw<MemorySourceException>().Which.NativeErrorCode.Should().Be(999);

        _eager.RegisteredBytes.Should().Be(GiB);
        _eager.Invoking(pinner => pinner.Pin(Address, GiB)).Should().Throw<MemorySourceException>("it is registered still");
        _driver.Failures.Clear();
        _eager.Unpin(Address, GiB);
        _eager.RegisteredBytes.Should().Be(0);
    }

    [Fact]
    public void Unpin_OtherLengthThanPinned_Throws()
    {
        _eager.Pin(Address, 2 * MiB);

        _eager.Invoking(pinner => pinner.Unpin(Address, MiB)).Should().Throw<InvalidOperationException>();
        _eager.Invoking(pinner => pinner.Unpin(Address + 4096, 2 * MiB)).Should().Throw<InvalidOperationException>();
        _eager.Unpin(Address, 2 * MiB);
    }

    [Fact]
    public void PinOnUse_OverlapsWhatIsPinned_Throws()
    {
        _lazy.TryPinOnUse(Address, 64 * MiB).Should().BeTrue();

        _lazy.Invoking(pinner => pinner.TryPinOnUse(Address + (nint)(63 * MiB), 2 * MiB)).Should().Throw<InvalidOperationException>();
        _lazy.Invoking(pinner => pinner.TryPinOnUse(Address - (nint)MiB, 2 * MiB)).Should().Throw<InvalidOperationException>();
        _lazy.TryPinOnUse(Address + (nint)(64 * MiB), 2 * MiB).Should().BeTrue();
    }

    [Fact]
    public void Lazy_OnlySlicesThatAreUsedAreRegistered()
    {
        _lazy.Pin(Address, 100 * MiB);
        _driver.Registered.Should().BeEmpty();
        _lazy.Capabilities.Should().Be(PoolCapabilities.DeviceVisible, "pages that are not used yet are not locked");

        _runtime.HostRanges.Use(Address + (nint)(17 * MiB), 40 * MiB).Should().Be(40 * MiB, "one copy may take what was registered at once");
        _runtime.HostRanges.Use(Address + (nint)(99 * MiB), 40 * MiB).Should().Be(MiB);

        _driver.Registered.Should().BeEquivalentTo(new Dictionary<nint, long>
        {
            [Address + (nint)(16 * MiB)] = 48 * MiB,
            [Address + (nint)(96 * MiB)] = 4 * MiB,
        });
        _lazy.Unpin(Address, 100 * MiB);
        _driver.Registered.Should().BeEmpty();
    }

    [Fact]
    public async Task Lazy_ManyFirstUsesAtOnce_RegisterOnce()
    {
        var registrations = 0;
        using var proceed = new ManualResetEventSlim();
        _driver.Registering = (_, _, _) =>
        {
            Interlocked.Increment(ref registrations);
            return proceed.Wait(TimeSpan.FromSeconds(30)) ? 0 : 999;
        };
        _lazy.TryPinOnUse(Address, 16 * MiB);
        var uses = Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
            () => _runtime.HostRanges.Use(Address, 4096), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();

        await TestTimeouts.UntilAsync(() => Volatile.Read(ref registrations) == 1);
        proceed.Set();
        await Task.WhenAll(uses).DefaultTimeout();

        registrations.Should().Be(1);
        _driver.Registered.Should().ContainSingle();
    }

    [Fact]
    public void Lazy_FirstUseIsRefused_TheNextTriesAgain()
    {
        _lazy.TryPinOnUse(Address, 16 * MiB);
        _driver.Registering = (_, _, _) => CudaError.OutOfMemory;
        FluentActions.Invoking(() => _runtime.HostRanges.Use(Address, 4096)).Should().Throw<CudaException>();

        _driver.Registering = null;

        _runtime.HostRanges.Use(Address, 4096).Should().Be(4096);
        _lazy.RegisteredBytes.Should().Be(16 * MiB);
    }

    [Fact]
    public void Use_MemoryThatIsNotOurs_EndsWhereOursBegins()
    {
        _lazy.TryPinOnUse(Address, 16 * MiB);

        _runtime.HostRanges.Use(Address - (nint)MiB, 4 * MiB).Should().Be(MiB);
        _runtime.HostRanges.Use(Address + (nint)(16 * MiB), 4 * MiB).Should().Be(4 * MiB);
        _driver.Registered.Should().BeEmpty();
    }

    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void Pin_WritablePagesAreRefused_AsksForReadOnlyOnesOnlyWhereTheMappingIs(bool isReadOnly)
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "Other systems do not tell of their mappings.");
        using var writable = new HostBytes(4096);
        var address = isReadOnly ? ReadOnlyPage() : writable.Address;
        _driver.Registering = (_, _, flags) => flags == 9 ? 0 : CudaError.InvalidValue;

        var act = () => _eager.Pin(address, 4096);

        if (isReadOnly)
        {
            act.Should().NotThrow();
            _eager.Unpin(address, 4096);
        }
        else
        {
            act.Should().Throw<MemorySourceException>();
        }
    }

    private static nint ReadOnlyPage()
    {
        var line = File.ReadLines("/proc/self/maps").First(each => each.Split(' ')[1].StartsWith("r--", StringComparison.Ordinal));
        return nint.Parse(line.Split('-')[0], System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);
    }
}
