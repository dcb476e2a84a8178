using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Grpc;
using LpLlm.Memory.Transport.Grpc.Storage;

namespace LpLlm.Memory;

/// <summary>How pool servers and their clients speak gRPC. Limits of messages, connections and calls are the server's <see cref="PoolTransportLimits"/>.</summary>
public sealed class GrpcPoolTransportOptions
{
    private const int MinTokenLength = 16;
    private const int MaxTokenLength = 4096;

    /// <summary>
    /// Secret of a server and its clients on TCP, sent as <c>authorization: Bearer …</c>; on Unix sockets the kernel vouches for clients instead. 16
    /// to 4096 visible ASCII characters, from a random generator (<c>openssl rand -hex 32</c>). It travels unencrypted: use a private
    /// network. Default null: none is sent or asked for, and TCP is served on loopback addresses only.
    /// </summary>
    public string? AccessToken { get; set; }

    /// <summary>Whether TCP may be served on other than loopback addresses. Needs an <see cref="AccessToken"/>. Default false.</summary>
    public bool AllowRemote { get; set; }

    /// <summary>For hosts that were told sizes in the original's terms; not configurable.</summary>
    internal StorageSettings Storage { get; set; } = new();

    internal void Validate(ICollection<string> errors)
    {
        // The token itself is not named.
        if (AccessToken is { } token && (token.Length is < MinTokenLength or > MaxTokenLength || token.Any(c => c is <= ' ' or > '~')))
        {
            errors.Add($"{nameof(AccessToken)} must have {MinTokenLength} to {MaxTokenLength} visible ASCII characters; it has {token.Length} characters.");
        }

        if (AllowRemote && AccessToken is null)
        {
            errors.Add($"{nameof(AllowRemote)} is set without an {nameof(AccessToken)}: anybody could take memory. Set both, or neither.");
        }
    }

    internal GrpcTransportSettings ToSettings(PoolTransportLimits? limits) =>
        new() { Limits = limits ?? new PoolTransportLimits(), AccessToken = AccessToken, AllowRemote = AllowRemote, Storage = Storage };
}
