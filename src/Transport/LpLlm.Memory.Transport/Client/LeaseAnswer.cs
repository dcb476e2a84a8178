using LpLlm.Memory.Transport.Messages;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>A lease as a reply brought it: checked, with descriptors that belong to whoever has this.</summary>
internal sealed record LeaseAnswer(ulong LeaseId, Token Token, IReadOnlyList<HeldSegment> Segments)
{
    public long LengthBytes => Segments.Sum(segment => segment.LengthBytes);

    /// <summary>The segments' ids of a reply whose descriptors cannot be used: at least they can be given back.</summary>
    /// <exception cref="PoolProtocolException">It makes no sense.</exception>
    public static LeaseAnswer From(LeaseReply reply, PoolMessage message, Uri endPoint)
    {
        var server = endPoint.ToString();
        if (reply.Lease is not { } lease || !Token.TryParse(lease.Token.Span, out var token))
        {
            throw new PoolProtocolException(server, "The server's lease has no token.");
        }

        if (message.Files.Count > 0 && message.Files.Count != lease.Segments.Count)
        {
            throw new PoolProtocolException(server, $"The server sent {lease.Segments.Count} segments with {message.Files.Count} descriptors.");
        }

        long sum = 0;
        foreach (var segment in lease.Segments)
        {
            if (segment.LengthBytes < PoolProtocol.UnitBytes
                || segment.LengthBytes % PoolProtocol.UnitBytes != 0
                || segment.LengthBytes > long.MaxValue / 2 - sum)
            {
                throw new PoolProtocolException(server, $"The server's lease {lease.Id} has a segment of {segment.LengthBytes} B.");
            }

            sum += segment.LengthBytes;
        }

        SafeFileHandle?[] files = message.Files.Count > 0 ? message.TakeFiles() : new SafeFileHandle?[lease.Segments.Count];
        return new LeaseAnswer(lease.Id, token, [.. lease.Segments.Zip(files, (segment, file) => new HeldSegment(segment, file))]);
    }

    public void CloseFiles()
    {
        foreach (var segment in Segments)
        {
            segment.CloseFile();
        }
    }
}
