using LpLlm.Memory.Transport.Grpc.Storage;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>What a <see cref="GrpcTransport"/> needs to know; validated by the options it comes from.</summary>
internal sealed record GrpcTransportSettings
{
    public PoolTransportLimits Limits { get; init; } = new();

    /// <summary>Secret that clients on TCP must send (<c>authorization: Bearer …</c>), and that this client sends. Null: none is asked for.</summary>
    public string? AccessToken { get; init; }

    public StorageSettings Storage { get; init; } = new();

    /// <summary>Listens on addresses other than loopback ones; needs an <see cref="AccessToken"/>.</summary>
    public bool AllowRemote { get; init; }
}
