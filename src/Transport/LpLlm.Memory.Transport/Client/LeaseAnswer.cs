using LpLlm.Memory.Transport.Messages;

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

        return new LeaseAnswer(lease.Id, token, HeldSegment.AllOf(lease.Segments, message, endPoint));
    }

    public void CloseFiles()
    {
        foreach (var segment in Segments)
        {
            segment.CloseFile();
        }
    }
}
