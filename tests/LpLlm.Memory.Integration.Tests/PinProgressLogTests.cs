using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests;

public class PinProgressLogTests
{
    private const long GiB = 1L << 30;

    [Fact]
    public void Report_LogsAtMostOnceInTwoSeconds()
    {
        var time = new ManualTimeProvider();
        var logger = new CollectingLogger();
        var sut = new PinProgressLog("weights", logger, time);

        sut.Report(new PinProgress(GiB, 16 * GiB));
        time.Advance(TimeSpan.FromSeconds(2));
        sut.Report(new PinProgress(4 * GiB, 16 * GiB));
        sut.Report(new PinProgress(5 * GiB, 16 * GiB));
        time.Advance(TimeSpan.FromSeconds(3));
        sut.Report(new PinProgress(8 * GiB, 16 * GiB));

        logger.Entries.Select(entry => entry.Message).Should().Equal(
            "Pinning memory for pool 'weights': 4 GiB of 16 GiB (25 %)",
            "Pinning memory for pool 'weights': 8 GiB of 16 GiB (50 %)");
    }
}
