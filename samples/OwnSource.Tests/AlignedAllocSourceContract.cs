using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Samples.OwnSource;

/// <summary>Everything a memory source must do, inherited from the TestKit.</summary>
public sealed class AlignedAllocSourceContract : BackedMemorySourceContract
{
    protected override IMemorySource Create() => new AlignedAllocSource();
}
