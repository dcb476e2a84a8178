using System.Buffers.Binary;
using System.Numerics;

namespace LpLlm.Memory.Models;

/// <summary>CRC-32C of bytes that come in parts, by the processor's instruction.</summary>
/// <remarks>
/// The instruction takes three cycles but one can be started every cycle, so three lanes run at once over blocks of 4 KiB and are
/// joined by a table that says what 4 KiB of zeros do to a sum.
/// </remarks>
internal struct Crc32C
{
    private const int LaneBytes = 4096;
    private static readonly uint[] Shift = MakeShift();

    public uint Value { get; private set; }

    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var sum = new Crc32C();
        sum.Append(bytes);
        return sum.Value;
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        var state = ~Value;
        for (; bytes.Length >= 3 * LaneBytes; bytes = bytes[(3 * LaneBytes)..])
        {
            var (a, b, c) = (state, 0u, 0u);
            for (var i = 0; i < LaneBytes; i += sizeof(ulong))
            {
                a = BitOperations.Crc32C(a, BinaryPrimitives.ReadUInt64LittleEndian(bytes[i..]));
                b = BitOperations.Crc32C(b, BinaryPrimitives.ReadUInt64LittleEndian(bytes[(LaneBytes + i)..]));
                c = BitOperations.Crc32C(c, BinaryPrimitives.ReadUInt64LittleEndian(bytes[((2 * LaneBytes) + i)..]));
            }

            state = PassLane(PassLane(a) ^ b) ^ c;
        }

        Value = ~Step(state, bytes);
    }

    private static uint Step(uint state, ReadOnlySpan<byte> bytes)
    {
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
        {
            state = BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        foreach (var value in bytes)
        {
            state = BitOperations.Crc32C(state, value);
        }

        return state;
    }

    private static uint PassLane(uint state) =>
        Shift[state & 255] ^ Shift[256 + ((state >> 8) & 255)] ^ Shift[512 + ((state >> 16) & 255)] ^ Shift[768 + (state >> 24)];

    private static uint[] MakeShift()
    {
        var zeros = new byte[LaneBytes];
        var shift = new uint[4 * 256];
        for (var i = 0; i < shift.Length; i++)
        {
            shift[i] = Step((uint)(i & 255) << (8 * (i >> 8)), zeros);
        }

        return shift;
    }
}
