namespace LpLlm.Memory.Transport;

/// <summary>What one client may take of a server, whatever the transport. Set by the server's options; there is no way to turn one off.</summary>
public sealed record PoolTransportLimits
{
    /// <summary>Longest message, in bytes. 4 KiB to 64 MiB. Default 4 MiB.</summary>
    public int MaxMessageBytes { get; init; } = 4 << 20;

    /// <summary>Connections at a time; more wait until one ends. 1 to 100,000. Default 1024.</summary>
    public int MaxConnections { get; init; } = 1024;

    /// <summary>Calls at a time on one connection; more are refused with ResourceExhausted. 1 to 10,000. Default 64.</summary>
    public int MaxCallsPerConnection { get; init; } = 64;

    /// <summary>Requests a second on one connection, in bursts of as many; a client that is faster is slowed down. Default 10,000.</summary>
    public int MaxRequestsPerSecond { get; init; } = 10_000;

    /// <summary>Time for the first bytes of a connection, and from the first to the last byte of a message. Default 5 s.</summary>
    public TimeSpan ReadTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Bytes of replies that wait for a client to read; past them it is disconnected. Default 8 MiB.</summary>
    public int MaxUnsentBytes { get; init; } = 8 << 20;
}
