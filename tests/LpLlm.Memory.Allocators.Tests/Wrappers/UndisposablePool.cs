using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Tests.Wrappers;

/// <summary>A pool whose disposal fails, as with a live lease.</summary>
internal sealed class UndisposablePool(Exception failure) : DelegatingPool(new FakePool())
{
    public override void Dispose()
    {
        base.Dispose();
        throw failure;
    }
}
