using System.Buffers.Binary;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>The first 12 bytes of a frame, little endian: length of the payload (4), call (4), kind (1), method (1), descriptors (2).</summary>
/// <remarks>
/// A frame is header, payload and one filler byte for each further 253 descriptors after the first 253: descriptors ride on bytes, and the
/// kernel passes at most 253 with one.
/// </remarks>
internal readonly record struct FrameHeader(uint PayloadBytes, uint Call, FrameKind Kind, PoolMethod Method, int FileCount)
{
    public const int LengthBytes = 12;
    public const int FilesPerChunk = 253;
    public const int MaxFiles = 4096;

    public int FillerBytes => FileCount <= FilesPerChunk ? 0 : ((FileCount + FilesPerChunk - 1) / FilesPerChunk) - 1;

    /// <summary>Length of the whole frame.</summary>
    public long FrameBytes => (long)LengthBytes + PayloadBytes + FillerBytes;

    public static FrameHeader Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
        (FrameKind)bytes[8],
        (PoolMethod)bytes[9],
        BinaryPrimitives.ReadUInt16LittleEndian(bytes[10..]));

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, PayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], Call);
        bytes[8] = (byte)Kind;
        bytes[9] = (byte)Method;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[10..], (ushort)FileCount);
    }
}
