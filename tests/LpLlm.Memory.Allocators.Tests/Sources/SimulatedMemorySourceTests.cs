namespace LpLlm.Memory.Tests.Sources;

public class SimulatedMemorySourceTests
{
    [Fact]
    public async Task FailingReleases_KeepTheirBytesAndNoOthers()
    {
        var sut = new SimulatedMemorySource();
        sut.FailingReleases.Add(2);
        var regions = new[] { await sut.ReserveAsync(1), await sut.ReserveAsync(10), await sut.ReserveAsync(100) };

        regions[0].Dispose();
        regions[1].Invoking(region => region.Dispose()).Should().Throw<MemorySourceException>().Which.QuarantinedBytes.Should().Be(10);
        regions[2].Dispose();

        sut.ReservedBytes.Should().Be(10);
        sut.QuarantinedBytes.Should().Be(10);
    }
}
