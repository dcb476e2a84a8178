using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests;

public class LocalPinnedPoolOptionsTests
{
    [Fact]
    public void CreateLocal_EverythingWrong_ReportsEverythingWithNameAndValue()
    {
        var options = new LocalPinnedPoolOptions
        {
            CapacityBytes = 5000,
            SlabBytes = 0,
            HugePages = (HugePageMode)7,
            HugePageBytes = 4096,
            NumaNode = -1,
            InitialBytes = -4096,
            RentTimeout = TimeSpan.Zero,
            DisposeTimeout = TimeSpan.FromDays(25),
        };

        var act = () => PinnedPoolFactory.CreateLocal("p", options, NullLogger.Instance);

        act.Should().Throw<ArgumentException>().Which.Message.Should()
            .Contain("Pool 'p'").And.Contain("CapacityBytes is 5000").And.Contain("SlabBytes is 0").And.Contain("InitialBytes is -4096")
            .And.Contain("HugePages is 7").And.Contain("HugePageBytes is 4096").And.Contain("NumaNode is -1")
            .And.Contain("RentTimeout is 00:00:00").And.Contain("DisposeTimeout is 25.00:00:00");
    }

    [Fact]
    public void CreateLocal_InitialAboveCapacity_NamesBoth()
    {
        var options = new LocalPinnedPoolOptions { CapacityBytes = 4096, InitialBytes = 8192 };

        var act = () => PinnedPoolFactory.CreateLocal("p", options, NullLogger.Instance);

        act.Should().Throw<ArgumentException>().Which.Message.Should().Contain("InitialBytes is 8192, more than CapacityBytes (4096)");
    }

    [Fact]
    public void Defaults_AreTheDocumentedOnes()
    {
        var options = new LocalPinnedPoolOptions();

        options.SlabBytes.Should().Be(1L << 30);
        options.AllowPageable.Should().BeFalse();
        options.HugePages.Should().Be(HugePageMode.Auto);
        options.HugePageBytes.Should().Be(2 << 20);
        options.Shared.Should().BeFalse();
        options.NumaNode.Should().BeNull();
        options.InitialBytes.Should().BeNull();
    }
}
