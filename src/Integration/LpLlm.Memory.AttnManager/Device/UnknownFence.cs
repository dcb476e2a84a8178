namespace LpLlm.Memory.Attention;

/// <summary>Stands for copies whose end the device would not even mark: the memory behind it is never used again.</summary>
internal sealed class UnknownFence(Exception failure) : IFence
{
    public bool IsCompleted => false;

    public ValueTask WaitAsync(CancellationToken cancellationToken = default) => ValueTask.FromException(failure);
}
