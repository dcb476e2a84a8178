using System.Text.Json;

namespace LpLlm.Memory.Samples.Generate.Tests.Support;

/// <summary>What PyTorch made of the same weights with float32 arithmetic.</summary>
internal sealed record Reference
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static Reference Instance { get; } = JsonSerializer.Deserialize<Reference>(
        File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "reference.json")), Json)!;

    public static TheoryData<int> Indices => [.. Enumerable.Range(0, 8)];

    public required ReferenceCase[] Cases { get; init; }

    public required string[] EvalText { get; init; }

    public required double[] EvalNll { get; init; }
}
