namespace LpLlm.Memory.Attention.Tests;

public class DeviceFailureTests : FailureTests
{
    protected override AttnPath CreatePath() => new SimulatedPath(new SimulatedDevice());

    // On this path the 6th rent is the block of the inputs, and the 7th the result's.
    [Fact]
    public Task Submit_P1_PoolFailsAtTheResultsBlock_RollsEveryRowBack() => ShouldRollBackAtRentAsync(7);
}
