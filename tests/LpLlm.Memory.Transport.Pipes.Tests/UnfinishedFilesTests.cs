using LpLlm.Memory.Transport.Client;

namespace LpLlm.Memory.Transport.Pipes;

public class UnfinishedFilesTests
{
    [Theory]
    [InlineData(0, 253)]
    [InlineData(900, 253)]
    [InlineData(1_012, 253)]
    [InlineData(4_000, 1_000)]
    [InlineData(32_764, 8_191)]
    [InlineData(32_768, 8_192)]
    [InlineData(int.MaxValue, 8_192)]
    public void Of_FreeDescriptors_IsAQuarterOfThem_FromOneChunkToTwoMessages(int free, int expected) =>
        UnfinishedFiles.Of(free).Should().Be(expected);

    [Fact]
    public void Of_NoneFree_IsEnoughForThreeClientsThatRestore() =>
        (3 * ServerMemorySource.MaxPresentedSegments).Should().BeLessThanOrEqualTo(UnfinishedFiles.Of(0));
}
