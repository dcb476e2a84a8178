using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Sources;

[Collection(WholeProcess.Name)]
public sealed class GiantPageMemorySourceTests : IClassFixture<ReservedGiantPage>
{
    private const long GiB = 1L << 30;

    public GiantPageMemorySourceTests(ReservedGiantPage page) => page.SkipIfMissing();

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reserve_OfOneByte_IsOneWholePage(bool shared)
    {
        var settings = new HostMemorySettings { HugePages = HugePageMode.Require, HugePageBytes = GiB, Shared = shared };
        using var region = await new HostMemorySource(settings, new MlockHostPinner(), NullLogger.Instance).ReserveAsync(1).DefaultTimeout();

        region.LengthBytes.Should().Be(GiB);
        (region.Address % (nint)GiB).Should().Be(0);
        region.Capabilities.Should().HaveFlag(PoolCapabilities.PageLocked);
        MappedRange.Find(region.Address)!.KernelPageBytes.Should().Be(GiB);
    }
}
