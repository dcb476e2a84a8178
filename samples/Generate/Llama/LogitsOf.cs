namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>Which tokens of a block to predict the successor of.</summary>
internal enum LogitsOf
{
    LastToken,
    EveryToken,
}
