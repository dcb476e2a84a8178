using System.Net;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>What the two schemes' addresses mean: <c>grpc://host:port</c> and <c>grpc+unix:///path</c>.</summary>
internal static class GrpcEndPoint
{
    public const string Tcp = "grpc";
    public const string Unix = "grpc+unix";

    /// <exception cref="ArgumentException">The end point is not one of this scheme.</exception>
    public static void Check(Uri endPoint, string scheme)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        if (!endPoint.IsAbsoluteUri || endPoint.Scheme != scheme)
        {
            throw new ArgumentException($"'{endPoint}' does not have the scheme '{scheme}'.", nameof(endPoint));
        }

        var isWellFormed = scheme == Unix
            ? endPoint.Host.Length == 0 && endPoint.AbsolutePath.Length > 1
            : endPoint.Host.Length > 0 && endPoint.Port >= 0 && endPoint.AbsolutePath is "" or "/";
        if (!isWellFormed || endPoint.UserInfo.Length + endPoint.Query.Length + endPoint.Fragment.Length > 0)
        {
            throw new ArgumentException($"'{endPoint}' is not of the form {(scheme == Unix ? $"{Unix}:///path" : $"{Tcp}://host:port")}.", nameof(endPoint));
        }
    }

    public static string PathOf(Uri endPoint) => Uri.UnescapeDataString(endPoint.AbsolutePath);

    /// <summary>The address to listen at: a server is bound to an address, not to whatever a name means today.</summary>
    /// <exception cref="ArgumentException">The host is neither an address nor <c>localhost</c>.</exception>
    public static IPAddress AddressOf(Uri endPoint) =>
        endPoint.Host == "localhost" ? IPAddress.Loopback
        : IPAddress.TryParse(endPoint.IdnHost, out var address) ? address
        : throw new ArgumentException($"'{endPoint.Host}' is not an IP address; a server listens at an address or at 'localhost'.", nameof(endPoint));
}
