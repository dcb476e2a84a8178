namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>A file of the model is not what it has to be.</summary>
internal sealed class ModelFileException(string path, string problem, Exception? innerException = null)
    : Exception($"{path}: {problem}", innerException);
