using LpLlm.Memory.Tests.Children;

namespace LpLlm.Memory.Tests;

public class KilledPoolTests
{
    [SkippableTheory]
    [InlineData("anonymous")]
    [InlineData("shared")]
    public async Task Kill_AtAnyMoment_LeavesNoLockedMemoryNoFileAndNoName(string kind)
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "An ordinary user may not lock what the child takes.");

        var mostLocked = await KilledProcess.LeavesNothingAsync(kind, "VmLck:");

        mostLocked.Should().BeGreaterThan(LocalPools.CapacityBytes / 4, "else no kill hit a pool that held anything");
    }
}
