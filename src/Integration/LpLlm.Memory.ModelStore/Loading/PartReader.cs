namespace LpLlm.Memory.Models;

/// <summary>Reads parts of one model straight into its memory, or through a bounce buffer where direct reads would not be aligned (F2).</summary>
internal sealed class PartReader(
    string model, IReadOnlyList<Partition> partitions, IReadOnlyList<IPartitionFile> files, ExtentMap memory)
{
    private const int BlockBytes = DirectFile.BlockBytes;

    /// <exception cref="ModelStoreException">The file is shorter than it was, or the disk failed.</exception>
    public void Read(in ReadPart part, BounceBuffer bounce)
    {
        if (files[part.FileIndex].IsDirect)
        {
            if (TryReadCached(part))
            {
                return;
            }

            if (!IsAligned(part))
            {
                ReadBounced(part, bounce);
                return;
            }
        }

        var offset = part.FileOffsetBytes;
        foreach (var extent in memory.Slice(part.ModelOffsetBytes, part.LengthBytes))
        {
            ReadInto(extent.Address, part.FileIndex, offset, extent.LengthBytes);
            offset += extent.LengthBytes;
        }
    }

    private bool TryReadCached(in ReadPart part)
    {
        var offset = part.FileOffsetBytes;
        foreach (var extent in memory.Slice(part.ModelOffsetBytes, part.LengthBytes))
        {
            if (!files[part.FileIndex].TryReadCached(extent.Address, extent.LengthBytes, offset))
            {
                return false;
            }

            offset += extent.LengthBytes;
        }

        return true;
    }

    // A direct read of a tail writes whole blocks. Behind the model's last byte that is memory of nobody; behind another file's
    // last byte it is the next file's, which another thread may have read already.
    private bool IsAligned(in ReadPart part)
    {
        var tail = part.LengthBytes % BlockBytes;
        var isLast = part.FileIndex == partitions.Count - 1;
        var rounded = part.LengthBytes + (tail == 0 ? 0 : BlockBytes - tail);
        return (tail == 0 || isLast)
            && rounded <= memory.LengthBytes - part.ModelOffsetBytes
            && memory.Slice(part.ModelOffsetBytes, rounded).All(extent => extent.Address % BlockBytes == 0 && extent.LengthBytes % BlockBytes == 0);
    }

    private unsafe void ReadBounced(in ReadPart part, BounceBuffer bounce)
    {
        for (var done = 0; done < part.LengthBytes;)
        {
            var length = Math.Min(BounceBuffer.LengthBytes, part.LengthBytes - done);
            ReadInto(bounce.Address, part.FileIndex, part.FileOffsetBytes + done, length);
            var source = (byte*)bounce.Address;
            foreach (var extent in memory.Slice(part.ModelOffsetBytes + done, length))
            {
                Buffer.MemoryCopy(source, (void*)extent.Address, extent.LengthBytes, extent.LengthBytes);
                source += extent.LengthBytes;
            }

            done += length;
        }
    }

    private void ReadInto(nint address, int fileIndex, long offset, long length)
    {
        var file = files[fileIndex];
        for (long done = 0; done < length;)
        {
            var wanted = file.IsDirect ? (length - done + BlockBytes - 1) / BlockBytes * BlockBytes : length - done;
            var read = ReadOnce(file, fileIndex, (nint)(address + done), wanted, offset + done);

            // More may come than was asked for where a file grew; a direct read stops between blocks only at the file's end.
            done += Math.Min(read, length - done);
            if (done < length && (read == 0 || read % BlockBytes != 0) && (read == 0 || file.IsDirect))
            {
                var partition = partitions[fileIndex];
                throw new ModelStoreException(
                    ModelStoreFault.Damaged,
                    model,
                    $"{partition.Path} ends at byte {file.LengthBytes}, and had {partition.LengthBytes} B when the load began: "
                    + "it was cut short, or is being written; load the model again when it is whole.");
            }
        }
    }

    private long ReadOnce(IPartitionFile file, int fileIndex, nint address, long length, long offset)
    {
        try
        {
            return file.Read(address, length, offset);
        }
        catch (IOException e)
        {
            throw new ModelStoreException(
                ModelStoreFault.Unreadable, model, $"{partitions[fileIndex].Path} cannot be read at byte {offset}: {e.Message}.", e);
        }
    }
}
