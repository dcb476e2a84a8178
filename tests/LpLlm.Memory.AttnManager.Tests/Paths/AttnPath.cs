namespace LpLlm.Memory.Attention.Tests;

/// <summary>How a suite's requests reach a manager: as host memory, or through a device.</summary>
public abstract class AttnPath
{
    public abstract IAttnManager Create(IPinnedMemoryPool pool, AttnManagerOptions options);

    /// <summary>Called at the end of a test, when every manager has been disposed.</summary>
    public virtual void Verify()
    {
    }
}
