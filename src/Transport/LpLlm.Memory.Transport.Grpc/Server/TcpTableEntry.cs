using System.Buffers.Binary;
using System.Globalization;
using System.Net;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>A line of /proc/net/tcp or tcp6: one end of a connection.</summary>
/// <param name="Local">Its own address; IPv4 in IPv6 as plain IPv4.</param>
/// <param name="Remote">The other end's.</param>
/// <param name="UserId">Who made it.</param>
/// <param name="Inode">Identifies the socket; 0 if no process holds it any more.</param>
internal sealed record TcpTableEntry(IPEndPoint Local, IPEndPoint Remote, uint UserId, ulong Inode)
{
    /// <summary>
    /// ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING: a client that has said all it will say is still there to read.
    /// </summary>
    private static readonly string[] Connected = ["01", "04", "05", "08", "09", "0B"];

    /// <summary>Null for the head line, and for what is not a connection that a process holds: of such a one the kernel says user 0.</summary>
    public static TcpTableEntry? TryParse(string line)
    {
        // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
        var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 9
            && Connected.Contains(fields[3])
            && TryParseEndPoint(fields[1]) is { } local
            && TryParseEndPoint(fields[2]) is { } remote
            && uint.TryParse(fields[7], NumberStyles.None, CultureInfo.InvariantCulture, out var user)
            && ulong.TryParse(fields[9], NumberStyles.None, CultureInfo.InvariantCulture, out var inode)
            && inode != 0
            ? new TcpTableEntry(local, remote, user, inode)
            : null;
    }

    /// <summary>Addresses are 32-bit words in the host's byte order, in hexadecimal; ports are plain.</summary>
    private static IPEndPoint? TryParseEndPoint(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon is not (8 or 32) || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var port))
        {
            return null;
        }

        var bytes = new byte[colon / 2];
        for (var word = 0; word < colon; word += 8)
        {
            if (!uint.TryParse(text.AsSpan(word, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            {
                return null;
            }

            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(word / 2), value);
        }

        var address = new IPAddress(bytes);
        return new IPEndPoint(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, port);
    }
}
