namespace LpLlm.Memory.Windows;

/// <summary>End points at which nobody has listened yet.</summary>
internal static class PipeNames
{
    public static Uri Next() => new($"pipe:///lpllm-test-{Guid.NewGuid():N}");
}
