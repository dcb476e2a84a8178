using System.Diagnostics;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Attention;

/// <summary>Between float32 and how keys and values are stored. To 16 bits it rounds to nearest, ties to even.</summary>
internal static unsafe class KvCodec
{
    public static int BytesOf(KvElementType type) => type switch
    {
        KvElementType.Float32 => sizeof(float),
        KvElementType.Float16 or KvElementType.BFloat16 => sizeof(ushort),
        _ => throw new UnreachableException($"Element type {type} passed the checks."),
    };

    public static void Encode(float* source, byte* target, int count, KvElementType type)
    {
        var from = new ReadOnlySpan<float>(source, count);
        switch (type)
        {
            case KvElementType.Float32:
                from.CopyTo(new Span<float>(target, count));
                break;
            case KvElementType.Float16:
                TensorPrimitives.ConvertToHalf(from, new Span<Half>(target, count));
                break;
            case KvElementType.BFloat16:
                var to = new Span<BFloat16>(target, count);
                for (var i = 0; i < count; i++)
                {
                    to[i] = (BFloat16)from[i];
                }

                break;
            default:
                throw new UnreachableException($"Element type {type} passed the checks.");
        }
    }

    /// <summary>Gives stored elements as float32: where they lie if they are, else converted into <paramref name="scratch"/>.</summary>
    public static float* Decode(byte* source, int count, KvElementType type, float* scratch)
    {
        switch (type)
        {
            case KvElementType.Float32:
                return (float*)source;
            case KvElementType.Float16:
                TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>(source, count), new Span<float>(scratch, count));
                return scratch;
            case KvElementType.BFloat16:
                WidenBFloat16((ushort*)source, count, scratch);
                return scratch;
            default:
                throw new UnreachableException($"Element type {type} passed the checks.");
        }
    }

    // A bfloat16 is the upper half of a float: widen to 32 bits and shift. The framework has no vector conversion for it.
    private static void WidenBFloat16(ushort* source, int count, float* target)
    {
        var i = 0;
        for (; i <= count - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(Unsafe.ReadUnaligned<Vector<ushort>>(source + i), out var low, out var high);
            Unsafe.WriteUnaligned(target + i, Vector.ShiftLeft(low, 16));
            Unsafe.WriteUnaligned(target + i + Vector<uint>.Count, Vector.ShiftLeft(high, 16));
        }

        for (; i < count; i++)
        {
            target[i] = BitConverter.UInt32BitsToSingle((uint)source[i] << 16);
        }
    }
}
