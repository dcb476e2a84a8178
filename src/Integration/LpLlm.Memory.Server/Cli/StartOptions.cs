namespace LpLlm.Memory.Daemon.Cli;

/// <summary>What <c>sllm-store start</c> was asked for. Null: not said on the command line.</summary>
internal sealed record StartOptions
{
    public const string DefaultHost = "127.0.0.1";
    public const int DefaultPort = 8073;
    public const long DefaultChunkBytes = 32L << 20;
    public const long DefaultMemPoolBytes = 4L << 30;
    public const long DefaultPoolMemoryBytes = 2L << 30;

    public string? Host { get; init; }

    public int? Port { get; init; }

    /// <summary>Models lie below it.</summary>
    public required string StoragePath { get; init; }

    /// <summary>Threads that read models from disk.</summary>
    public int ThreadCount { get; init; } = 4;

    /// <summary>The standard segment, and the unit in which storage clients count.</summary>
    public long? ChunkBytes { get; init; }

    /// <summary>What models may take, and what GetServerConfig reports. Where the file says the capacity, and the command line no <see cref="PoolMemoryBytes"/>, only that.</summary>
    public long MemPoolBytes { get; init; } = DefaultMemPoolBytes;

    /// <summary>Without effect, as in the original.</summary>
    public long DiskBytes { get; init; } = 128L << 30;

    public bool RegistrationRequired { get; init; }

    /// <summary>The memory that is leased to clients.</summary>
    public long? PoolMemoryBytes { get; init; }

    public string? SocketPath { get; init; }

    public string? ConfigFile { get; init; }
}
