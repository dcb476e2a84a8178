using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.FixedBlock;

public class FixedBlockPoolOptionsTests
{
    [Fact]
    public void CreateFixedBlock_EverythingWrong_ReportsEverythingWithNameAndValue() => ErrorOf(new FixedBlockPinnedPoolOptions
    {
        BlockBytes = -5,
        Blocks = 0,
        BlockAlignmentBytes = 384,
        ThreadCacheBlocks = -1,
        FenceTimeout = TimeSpan.FromDays(25),
    }).Should().Contain("Pool 'p'").And.Contain("BlockBytes is -5").And.Contain("Blocks is 0").And.Contain("BlockAlignmentBytes is 384")
        .And.Contain("ThreadCacheBlocks is -1").And.Contain("FenceTimeout is 25.00:00:00");

    [Fact]
    public void CreateFixedBlock_LengthAndShape_ExactlyOneOfTheTwo()
    {
        ErrorOf(new FixedBlockPinnedPoolOptions { BlockBytes = 4096, Blocks = 1, Shape = { 2, 3 } })
            .Should().Contain("BlockBytes is 4096 and Shape is (2, 3)");
        ErrorOf(new FixedBlockPinnedPoolOptions { Blocks = 1 }).Should().Contain("BlockBytes is 0").And.Contain("Shape must be set");
        ErrorOf(new FixedBlockPinnedPoolOptions { Blocks = 1, Shape = { 2, 0 } }).Should().Contain("Shape is (2, 0)");
        ErrorOf(new FixedBlockPinnedPoolOptions { Blocks = 1, Shape = { 2 }, ElementBytes = 3 }).Should().Contain("ElementBytes is 3");
        ErrorOf(new FixedBlockPinnedPoolOptions { Blocks = 1, Shape = { int.MaxValue, int.MaxValue, int.MaxValue } })
            .Should().Contain("more than 4 EiB");
    }

    [Theory]
    [InlineData(1, null, 256, 256)]
    [InlineData(1000, null, 256, 1024)]
    [InlineData(65536, null, 4096, 65536)]
    [InlineData(65537, null, 4096, 69632)]
    [InlineData(65537, 256, 256, 65792)]
    [InlineData(1000, 2 << 20, 2 << 20, 2 << 20)]
    public void Stride_IsTheLengthRoundedUpToTheAlignment(long blockBytes, int? asked, int alignmentBytes, long strideBytes)
    {
        var settings = FixedBlockSettings.From(
            "p", new FixedBlockPinnedPoolOptions { BlockBytes = blockBytes, Blocks = 1, BlockAlignmentBytes = asked });

        settings.AlignmentBytes.Should().Be(alignmentBytes);
        settings.StrideBytes.Should().Be(strideBytes);
    }

    [Fact]
    public void Shape_IsTimesTheElement() => FixedBlockSettings.From(
        "p", new FixedBlockPinnedPoolOptions { Shape = { 128, 256, 512 }, Blocks = 10 }).BlockBytes.Should().Be(128L * 256 * 512 * 2);

    private static string ErrorOf(FixedBlockPinnedPoolOptions options) => FluentActions
        .Invoking(() => PinnedPoolFactory.CreateFixedBlock("p", options, NullLogger.Instance))
        .Should().Throw<ArgumentException>().Which.Message;
}
