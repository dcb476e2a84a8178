using System.Security.Cryptography;
using System.Text;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>The secret that clients on TCP send as <c>authorization: Bearer …</c>. Only its hash is kept.</summary>
internal sealed class AccessToken(string secret)
{
    public const string Scheme = "Bearer ";

    private readonly byte[] _hash = SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    /// <summary>Takes the same time whatever differs: hashes are of one length, and the comparison looks at all of them.</summary>
    public bool Admits(string? authorization) =>
        authorization is not null
        && authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
        && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(authorization[Scheme.Length..])), _hash);
}
