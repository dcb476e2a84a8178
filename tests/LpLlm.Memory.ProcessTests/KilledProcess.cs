namespace LpLlm.Memory.Tests;

/// <summary>Kills a child that opens, grows, rents and trims a pool, at moments all over its life, and looks for what is left.</summary>
internal static class KilledProcess
{
    private const int Kills = 20;

    /// <summary>Lines of one cycle of the child; moments are spread over two.</summary>
    private const int LinesOfACycle = 15;

    /// <param name="kind">The child's pool.</param>
    /// <param name="heldField">The line of /proc/PID/status that counts what the child holds.</param>
    /// <returns>The most that a child held when it was killed.</returns>
    public static async Task<long> LeavesNothingAsync(string kind, string heldField)
    {
        var random = new Random(20261122);
        long mostHeld = 0;
        for (var kill = 0; kill < Kills; kill++)
        {
            var lines = 1 + (kill * 2 * LinesOfACycle / Kills);
            // A slab of 32 MiB takes 1 to 20 ms: the moment is drawn within a step, it is not waited for.
            var delay = TimeSpan.FromMilliseconds(random.Next(0, 12));
            mostHeld = Math.Max(mostHeld, await KillOnceAsync(kind, heldField, lines, delay));
        }

        return mostHeld;
    }

    private static async Task<long> KillOnceAsync(string kind, string heldField, int lines, TimeSpan delay)
    {
        var before = MachineMemory.Read();
        using var child = ChildProcess.Start("cycle", kind);
        await child.ReadLinesAsync(lines);
        await Task.Delay(delay);
        var files = child.ReadMemoryFiles();
        var held = child.ReadStatusBytes(heldField);

        await child.KillAsync();

        MemoryFiles.OfAllProcesses().Should().NotIntersectWith(files);
        var after = MachineMemory.Read();
        try
        {
            await TestTimeouts.UntilAsync(() => (after = MachineMemory.Read()).IsBackTo(before, kind.StartsWith("huge", StringComparison.Ordinal)));
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"Killed {delay.TotalMilliseconds} ms after line {lines} of '{kind}'. Before: {before}. Still after 30 s: {after}.");
        }

        return held;
    }
}
