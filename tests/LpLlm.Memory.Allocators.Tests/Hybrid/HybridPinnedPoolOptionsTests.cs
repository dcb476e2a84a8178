using System.Reflection;
using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Hybrid;

public class HybridPinnedPoolOptionsTests
{
    private readonly HybridPinnedPoolOptions _options = new();

    [Fact]
    public void Validate_Nothing_NamesBothLists() =>
        Errors().Should().ContainSingle().Which.Should().Contain("SizeClasses").And.Contain("Chain");

    [Fact]
    public void Validate_EverythingWrong_IsReportedTogether()
    {
        _options.SizeClasses.Add(new HybridSizeClass { BlockBytes = 4096, Blocks = 1 });
        _options.SizeClasses.Add(new HybridSizeClass { Shape = { 8, 256 }, Blocks = 1 });
        _options.SizeClasses.Add(new HybridSizeClass { BlockBytes = -1 });
        _options.Chain.Add("a");
        _options.Chain.Add("a");
        _options.RetryInterval = TimeSpan.Zero;
        _options.PageableFallbackBytes = 100;
        _options.AllowPageable = true;
        _options.DisposeTimeout = TimeSpan.FromSeconds(-1);

        Errors().Should().SatisfyRespectively(
            error => error.Should().StartWith("SizeClasses:2: BlockBytes is -1"),
            error => error.Should().StartWith("SizeClasses:2: Blocks is 0"),
            error => error.Should().StartWith("SizeClasses has '4096' 2 times"),
            error => error.Should().StartWith("Chain has 'a' 2 times"),
            error => error.Should().StartWith("PageableFallbackBytes is 100"),
            error => error.Should().StartWith("RetryInterval is 00:00:00"),
            error => error.Should().StartWith("AllowPageable is true"),
            error => error.Should().StartWith("DisposeTimeout is -00:00:01"));
    }

    [Fact]
    public void Validate_AllowPageableForSizeClassesAlone_IsAllowed()
    {
        _options.SizeClasses.Add(new HybridSizeClass { BlockBytes = 4096, Blocks = 1 });
        _options.AllowPageable = true;

        Errors().Should().BeEmpty();
    }

    [Fact]
    public void CopyTo_CopiesEveryOptionOfHostMemory()
    {
        var properties = typeof(HostMemoryOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance);
        var defaults = new LocalPinnedPoolOptions();
        foreach (var property in properties)
        {
            property.SetValue(_options, Other(property.GetValue(_options)));
        }

        var copy = HybridMembers.CopyTo(_options, new LocalPinnedPoolOptions());

        properties.Should().HaveCountGreaterThan(4);
        foreach (var property in properties)
        {
            property.GetValue(copy).Should().Be(property.GetValue(_options), property.Name).And.NotBe(property.GetValue(defaults));
        }
    }

    [Fact]
    public void CreateHybrid_PageableFallback_ServesLastAndLocksNothing()
    {
        var pinner = new FakePinner();
        _options.SizeClasses.Add(new HybridSizeClass { BlockBytes = 4096, Blocks = 1 });
        _options.PageableFallbackBytes = 1 << 20;
        using var sut = PinnedPoolFactory.CreateHybrid("kv", _options, [], NullLogger.Instance, pinner);
        using var first = sut.Rent(4096);
        var locked = pinner.Pinned.Values.Sum();

        using var second = sut.Rent(4096);

        second.GetSpan(0, 4096).Fill(1);
        (second.PoolName, second.Placement, second.Capabilities).Should().Be(
            ("kv-pageable", LeasePlacement.Exhausted, PoolCapabilities.None));
        first.Capabilities.Should().Be(PoolCapabilities.PageLocked);
        pinner.Pinned.Values.Sum().Should().Be(locked);
        sut.GetSnapshot().PageableBytes.Should().Be(1 << 20);
    }

    [Fact]
    public void CreateHybrid_WrongOptions_Throws() =>
        _options.Invoking(options => PinnedPoolFactory.CreateHybrid("kv", options, [], NullLogger.Instance))
            .Should().Throw<ArgumentException>().Which.Message.Should().Contain("'kv'");

    private static object Other(object? value) => value switch
    {
        bool flag => !flag,
        TimeSpan time => time + TimeSpan.FromSeconds(1),
        int number => number + 1,
        long number => number + 1,
        Enum choice => Enum.GetValues(choice.GetType()).Cast<object>().First(other => !other.Equals(choice)),
        null => 1,
        _ => throw new NotSupportedException($"Say here what another value of {value.GetType()} is."),
    };

    private List<string> Errors()
    {
        var errors = new List<string>();
        _options.Validate(errors);
        return errors;
    }
}
