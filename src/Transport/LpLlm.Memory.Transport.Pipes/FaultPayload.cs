using System.Buffers.Binary;
using System.Text;
using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A fault as bytes: code (4), length of the text (4), text in UTF-8, data.</summary>
internal static class FaultPayload
{
    /// <summary>Longest: a UTF-16 character takes at most 3 bytes of UTF-8.</summary>
    public const int MaxBytes = 8 + (3 * FaultText.MaxCharacters) + FaultText.MaxDataBytes;

    public static byte[] Encode(PoolFaultException fault)
    {
        var text = Encoding.UTF8.GetBytes(fault.Message);
        var bytes = new byte[8 + text.Length + fault.Data.Length];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, (int)fault.Code);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), text.Length);
        text.CopyTo(bytes, 8);
        fault.Data.CopyTo(bytes.AsMemory(8 + text.Length));
        return bytes;
    }

    /// <exception cref="FrameException">The bytes are no fault.</exception>
    public static PoolFaultException Decode(ReadOnlyMemory<byte> payload)
    {
        var bytes = payload.Span;
        if (bytes.Length < 8 || BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]) is var textBytes && textBytes > bytes.Length - 8)
        {
            throw new FrameException($"A fault of {bytes.Length} B is not whole.");
        }

        var code = (PoolFaultCode)BinaryPrimitives.ReadInt32LittleEndian(bytes);
        return new PoolFaultException(
            Enum.IsDefined(code) ? code : PoolFaultCode.Unknown,
            Encoding.UTF8.GetString(bytes.Slice(8, (int)textBytes)),
            payload[(8 + (int)textBytes)..].ToArray());
    }
}
