namespace LpLlm.Memory;

/// <summary>A model cannot be had, or cannot be taken away. <see cref="PinnedMemoryException.IsTransient"/> when there is no room now, or it is in use now.</summary>
public sealed class ModelStoreException : PinnedMemoryException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="fault">The kind of failure.</param>
    /// <param name="model">The model's path as the caller gave it.</param>
    /// <param name="problem">What is wrong, with names and numbers, and what to do: a sentence.</param>
    /// <param name="innerException">The cause, if another exception was it.</param>
    public ModelStoreException(ModelStoreFault fault, string model, string problem, Exception? innerException = null)
        : base($"Model '{model}': {problem}", innerException) =>
        (Fault, Model) = (fault, model);

    /// <summary>The kind of failure.</summary>
    public ModelStoreFault Fault { get; }

    /// <summary>The model's path.</summary>
    public string Model { get; }

    /// <inheritdoc/>
    public override bool IsTransient => Fault is ModelStoreFault.NoRoom or ModelStoreFault.InUse;
}
