namespace LpLlm.Memory.Attention.Tests;

public sealed class HostPath : AttnPath
{
    public override IAttnManager Create(IPinnedMemoryPool pool, AttnManagerOptions options) => new AttnManager(pool, options);
}
