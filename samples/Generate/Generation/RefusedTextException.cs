namespace LpLlm.Memory.Samples.Generate.Generation;

/// <summary>A prompt or a text to score that the model cannot take.</summary>
internal sealed class RefusedTextException(string message) : Exception(message);
