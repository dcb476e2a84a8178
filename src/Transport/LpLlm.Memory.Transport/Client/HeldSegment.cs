using LpLlm.Memory.Transport.Messages;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>A segment that the server leases to this process. Its descriptor is kept where a restarted server can be shown it again.</summary>
internal sealed class HeldSegment(Segment described, SafeFileHandle? file)
{
    /// <summary>New after the server's restart; under the source's gate.</summary>
    public ulong Id { get; set; } = described.Id;

    public long LengthBytes { get; } = described.LengthBytes;

    public string Path { get; } = described.Path;

    public ulong Inode { get; } = described.Inode;

    public bool IsPageLocked { get; } = described.PageLocked;

    /// <summary>Null over gRPC, but for the moment of mapping.</summary>
    public SafeFileHandle? File { get; private set; } = file;

    /// <summary>Whether the server has it: not after its restart, where it took over only other segments of the lease. Under the source's gate.</summary>
    public bool IsKnown { get; set; } = true;

    /// <summary>Given back by its user while it was being presented to a restarted server; under the source's gate.</summary>
    public bool IsReturned { get; set; }

    /// <summary>The segments of a reply, with the descriptors that came along.</summary>
    /// <exception cref="PoolProtocolException">They make no sense.</exception>
    public static IReadOnlyList<HeldSegment> AllOf(IReadOnlyList<Segment> segments, PoolMessage message, Uri endPoint)
    {
        var server = endPoint.ToString();
        if (message.Files.Count > 0 && message.Files.Count != segments.Count)
        {
            throw new PoolProtocolException(server, $"The server sent {segments.Count} segments with {message.Files.Count} descriptors.");
        }

        long sum = 0;
        foreach (var segment in segments)
        {
            if (segment.LengthBytes < PoolProtocol.UnitBytes
                || segment.LengthBytes % PoolProtocol.UnitBytes != 0
                || segment.LengthBytes > long.MaxValue / 2 - sum)
            {
                throw new PoolProtocolException(server, $"The server sent a segment of {segment.LengthBytes} B.");
            }

            sum += segment.LengthBytes;
        }

        SafeFileHandle?[] files = message.Files.Count > 0 ? message.TakeFiles() : new SafeFileHandle?[segments.Count];
        return [.. segments.Zip(files, (segment, file) => new HeldSegment(segment, file))];
    }

    /// <summary>Maps it; a descriptor that came along is kept, one that was opened is not.</summary>
    /// <exception cref="PoolProtocolException">Its file is not what the server said, or not safe.</exception>
    /// <exception cref="MemorySourceException">It cannot be opened or mapped.</exception>
    public void MapAt(AddressRange range, nint address, string endPoint, bool readOnly = false)
    {
        if (File is { } kept)
        {
            range.Map(kept, address, LengthBytes, Inode, endPoint, readOnly);
            return;
        }

        using var opened = SegmentFile.Open(Path, LengthBytes, endPoint, readOnly);
        range.Map(opened, address, LengthBytes, Inode, endPoint, readOnly);
    }

    public void CloseFile()
    {
        File?.Dispose();
        File = null;
    }
}
