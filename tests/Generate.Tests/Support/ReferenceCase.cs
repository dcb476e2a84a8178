namespace LpLlm.Memory.Samples.Generate.Tests.Support;

internal sealed record ReferenceCase
{
    public required string Prompt { get; init; }

    public required int[] ContinuationBytes { get; init; }

    public required float[] LastPromptLogits { get; init; }

    public byte[] Continuation => Array.ConvertAll(ContinuationBytes, value => (byte)value);
}
