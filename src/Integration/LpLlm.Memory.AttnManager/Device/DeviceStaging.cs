namespace LpLlm.Memory.Attention;

/// <summary>
/// What a request's copies need besides pages, as one block: its queries, and the keys and values that must be converted on their way.
/// </summary>
internal sealed class DeviceStaging
{
    private const long Alignment = 256;

    public DeviceStaging(AttnDeviceRequest request, AttnStep step)
    {
        var type = step.Layout.Shape.ElementType;
        QueryBytes = step.QueryElements * KvCodec.BytesOf(request.Query.ElementType);
        KeyBytes = request.Key.ElementType == type ? 0 : step.KeyElements * KvCodec.BytesOf(request.Key.ElementType);
        ValueBytes = request.Value.ElementType == type ? 0 : step.KeyElements * KvCodec.BytesOf(request.Value.ElementType);
        KeyOffset = AlignUp(QueryBytes);
        ValueOffset = KeyOffset + AlignUp(KeyBytes);
        TotalBytes = ValueOffset + ValueBytes;
    }

    public long QueryBytes { get; }

    /// <summary>0: the keys go straight into their pages.</summary>
    public long KeyBytes { get; }

    /// <summary>0: the values go straight into their pages.</summary>
    public long ValueBytes { get; }

    public long KeyOffset { get; }

    public long ValueOffset { get; }

    public long TotalBytes { get; }

    private static long AlignUp(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}
