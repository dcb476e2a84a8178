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

    /// <summary>Maps it; a descriptor that came along is kept, one that was opened is not.</summary>
    /// <exception cref="PoolProtocolException">Its file is not what the server said, or not safe.</exception>
    /// <exception cref="MemorySourceException">It cannot be opened or mapped.</exception>
    public void MapAt(nint address, string endPoint)
    {
        if (File is { } kept)
        {
            Map(kept, address, endPoint);
            return;
        }

        using var opened = SegmentFile.Open(Path, LengthBytes, endPoint);
        Map(opened, address, endPoint);
    }

    public void CloseFile()
    {
        File?.Dispose();
        File = null;
    }

    private void Map(SafeFileHandle file, nint address, string endPoint)
    {
        SegmentFile.Verify(file, LengthBytes, Inode, endPoint);
        AddressRange.Map(file, address, LengthBytes);
    }
}
