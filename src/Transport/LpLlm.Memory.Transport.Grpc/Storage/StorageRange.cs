namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>Bytes of a client's segment that lie together.</summary>
internal readonly record struct StorageRange(long OffsetBytes, int LengthBytes)
{
    /// <summary>What part of an allocation is where: its chunks need not be neighbours.</summary>
    /// <exception cref="PoolFaultException">The part is not within the allocation.</exception>
    public static List<StorageRange> Split(IReadOnlyList<int> chunks, int chunkBytes, int offset, int lengthBytes)
    {
        var capacityBytes = (long)chunks.Count * chunkBytes;
        if (offset < 0 || lengthBytes < 0 || (long)offset + lengthBytes > capacityBytes)
        {
            throw new PoolFaultException(
                PoolFaultCode.OutOfRange, $"{lengthBytes} B at chunk_offset {offset} are not within the allocation's {capacityBytes} B.");
        }

        var ranges = new List<StorageRange>();
        while (lengthBytes > 0)
        {
            var (chunk, within) = Math.DivRem(offset, chunkBytes);
            var length = Math.Min(lengthBytes, chunkBytes - within);
            ranges.Add(new StorageRange(((long)chunks[chunk] * chunkBytes) + within, length));
            lengthBytes -= length;

            // Ends within int: offset and length did fit, and the last piece ends the loop.
            offset = lengthBytes > 0 ? offset + length : offset;
        }

        return ranges;
    }
}
