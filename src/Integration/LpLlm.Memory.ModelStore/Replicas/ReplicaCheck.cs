namespace LpLlm.Memory.Models;

/// <summary>Checks what a client asks for before any of it is done (U7): each message names the value and what it must be.</summary>
internal static class ReplicaCheck
{
    private const int HandleBytes = 64;

    // Each takes the driver 0.8 ms, during which it serves nobody else; a client needs one for each of its allocations.
    private const int MaxHandles = 1024;

    // A client's names are UUIDs; thousands are remembered for minutes.
    private const int MaxNameCharacters = 256;
    private const int MaxShownCharacters = 64;

    /// <param name="request">As it came.</param>
    /// <param name="modelBytes">Length of the model's data.</param>
    /// <param name="devices">This host's.</param>
    /// <exception cref="ArgumentException">It cannot be carried out.</exception>
    public static IReadOnlyList<ReplicaTarget> Check(ReplicaRequest request, long modelBytes, IReadOnlyList<IMemoryDevice> devices)
    {
        if (request.Replica.Length > MaxNameCharacters)
        {
            throw new ArgumentException($"The replica's name has {request.Replica.Length} characters: it may have {MaxNameCharacters}.");
        }

        if (request.Chunks.Count == 0)
        {
            throw new ArgumentException("chunks is empty: name at least one device.");
        }

        if (request.Chunks.Keys.Except(request.Handles.Keys).FirstOrDefault() is { } withoutHandles)
        {
            throw new ArgumentException($"chunks has device '{Cut(withoutHandles)}', and handles has not: both need the same devices.");
        }

        if (request.Handles.Keys.Except(request.Chunks.Keys).FirstOrDefault() is { } withoutChunks)
        {
            throw new ArgumentException($"handles has device '{Cut(withoutChunks)}', and chunks has not: both need the same devices.");
        }

        return [.. request.Chunks.Select(pair => Check(pair.Key, pair.Value, request.Handles[pair.Key], modelBytes, devices))];
    }

    /// <summary>Checks what is known only once the handle is open.</summary>
    /// <exception cref="ArgumentException">A chunk does not lie within its allocation.</exception>
    public static void CheckTargets(ReplicaTarget target, IReadOnlyList<IDeviceBuffer> buffers)
    {
        for (var i = 0; i < target.Chunks.Count; i++)
        {
            var chunk = target.Chunks[i];
            var buffer = buffers[(int)chunk.Handle];
            if (!IsWithin(chunk.TargetOffset, chunk.LengthBytes, buffer.LengthBytes))
            {
                throw new ArgumentException(
                    $"Chunk {i} of device {target.Device.Uuid} puts {chunk.LengthBytes} B at dst_offset {chunk.TargetOffset} of an allocation of {buffer.LengthBytes} B.");
            }
        }
    }

    private static ReplicaTarget Check(
        string uuid,
        IReadOnlyList<ReplicaChunk> chunks,
        IReadOnlyList<ReadOnlyMemory<byte>> handles,
        long modelBytes,
        IReadOnlyList<IMemoryDevice> devices)
    {
        var device = devices.FirstOrDefault(device => device.Uuid.Equals(uuid, StringComparison.OrdinalIgnoreCase)) ?? throw new ArgumentException(
            $"There is no device '{Cut(uuid)}': this server has {string.Join(", ", devices.Select(device => device.Uuid))}.");
        if (handles.Count > MaxHandles)
        {
            throw new ArgumentException(
                $"Device {device.Uuid} has {handles.Count} handles: it may have {MaxHandles}. Send one for each allocation, and chunks with offsets in it.");
        }

        for (var i = 0; i < handles.Count; i++)
        {
            if (handles[i].Length != HandleBytes)
            {
                throw new ArgumentException($"Handle {i} of device {device.Uuid} has {handles[i].Length} bytes: an IPC handle has {HandleBytes}.");
            }
        }

        for (var i = 0; i < chunks.Count; i++)
        {
            var chunk = chunks[i];
            if (!IsWithin(chunk.SourceOffset, chunk.LengthBytes, modelBytes))
            {
                throw new ArgumentException(
                    $"Chunk {i} of device {device.Uuid} has {chunk.LengthBytes} B at src_offset {chunk.SourceOffset} of a model of {modelBytes} B.");
            }

            if (chunk.Handle >= (ulong)handles.Count)
            {
                throw new ArgumentException($"Chunk {i} of device {device.Uuid} has handle_idx {chunk.Handle}, and {handles.Count} handles came.");
            }
        }

        return new ReplicaTarget(device, chunks, handles);
    }

    private static bool IsWithin(ulong offset, ulong length, long ofBytes) => length <= (ulong)ofBytes && offset <= (ulong)ofBytes - length;

    private static string Cut(string text) => text[..Math.Min(text.Length, MaxShownCharacters)];
}
