namespace LpLlm.Memory.Transport;

public class EngineSimulationTests
{
    /// <summary>SIMULATION_SEED=n replays one seed; the trace of a broken one is in its message.</summary>
    [Fact]
    public void Simulation_OfThousandsOfSeeds_BreaksNoInvariant()
    {
        var (first, count) = int.TryParse(Environment.GetEnvironmentVariable("SIMULATION_SEED"), out var seed) ? (seed, 1) : (0, 3000);
        var (granted, reused) = (0, 0);
        for (var i = first; i < first + count; i++)
        {
            using EngineSimulation simulation = new(i);
            try
            {
                simulation.Run(steps: 120);
            }
            catch (SimulationException exception)
            {
                Assert.Fail($"Seed {i}: {exception.Message}");
            }

            granted += simulation.Granted;
            reused += simulation.Reused;
        }

        if (count > 1)
        {
            granted.Should().BeGreaterThan(5 * count, "the dice reach the interesting states");
            reused.Should().BeGreaterThan(count);
        }
    }
}
