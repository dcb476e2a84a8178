namespace LpLlm.Memory.Transport.Client;

/// <summary>What a client of a server's model store needs to know; validated by the options it comes from.</summary>
internal sealed record ModelClientOptions
{
    /// <summary>Where the server is, and how it is spoken to. Its capacity plays no part.</summary>
    public required PoolClientOptions Connection { get; init; }

    /// <summary>Longest time for the load of a model that is not in memory.</summary>
    public TimeSpan LoadTimeout { get; init; } = TimeSpan.FromMinutes(10);
}
