using LpLlm.Memory.Attention;

namespace LpLlm.Memory.Samples.Generate.Cli;

/// <summary>What the command line asks for.</summary>
internal sealed record GenerateOptions
{
    public string Prompt { get; init; } = "In the beginning ";

    public int MaxNewTokens { get; init; } = 128;

    /// <summary>Kind of pool; null for the one of appsettings.json.</summary>
    public string? PoolKind { get; init; }

    /// <summary>The server of memory and models; null for the pool server of appsettings.json, and a model store in this process.</summary>
    public string? EndPoint { get; init; }

    public KvElementType KvElementType { get; init; } = KvElementType.Float32;

    /// <summary>Standard output gets the continuation's bytes and nothing else.</summary>
    public bool Raw { get; init; }

    /// <summary>A file to score instead of generating; null to generate.</summary>
    public string? ScoreFile { get; init; }

    public string ModelDirectory { get; init; } = Path.Combine(AppContext.BaseDirectory, "models", "kjv-tiny");

    /// <summary>The folder itself: a store refuses a link that leads out of its storage path, and the folder's parent is that path here.</summary>
    public string ModelFolder
    {
        get
        {
            var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(ModelDirectory));
            return Directory.Exists(path) ? Directory.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path : path;
        }
    }
}
