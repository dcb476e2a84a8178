using System.Runtime.Versioning;
using LpLlm.Memory.Tests.Children;

namespace LpLlm.Memory.Tests;

public sealed class HugePagePoolTests : IClassFixture<ReservedHugePages>
{
    public HugePagePoolTests(ReservedHugePages pages) => pages.SkipIfMissing();

    [SkippableTheory]
    [InlineData("huge anonymous")]
    [InlineData("huge shared")]
    public async Task Kill_AtAnyMoment_GivesEveryHugePageBack(string kind)
    {
        var mostHeld = await KilledProcess.LeavesNothingAsync(kind, "HugetlbPages:");

        mostHeld.Should().BeGreaterThan(LocalPools.CapacityBytes / 4, "else no kill hit a pool that held anything");
    }

    [SkippableTheory]
    [InlineData("huge anonymous")]
    [InlineData("huge shared")]
    [SupportedOSPlatform("linux")]
    public async Task Open_AsAnOrdinaryUserWhoMayLock64KiB_IsPageLockedAllTheSame(string kind)
    {
        using var user = new OrdinaryUser();
        using var child = ChildProcess.StartCommand(["prlimit", "--memlock=65536", .. user.CommandOf("open", kind)]);

        var (exitCode, output) = await child.ReadToEndAsync();

        exitCode.Should().Be(0, output);
        output.Should().StartWith($"{32 << 20} PageLocked");
    }
}
