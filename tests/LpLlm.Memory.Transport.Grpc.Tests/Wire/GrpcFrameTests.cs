using System.Buffers;
using System.IO.Pipelines;

namespace LpLlm.Memory.Transport.Grpc.Wire;

public class GrpcFrameTests
{
    private const int Max = 64;

    [Fact]
    public void TryRead_AnySplitOfTheBytes_GivesTheSameMessages()
    {
        byte[][] messages = [[], [1], [.. Enumerable.Range(0, Max).Select(i => (byte)i)]];
        var bytes = messages.SelectMany(Encode).ToArray();

        for (var split = 0; split <= bytes.Length; split++)
        {
            var pending = new List<byte>();
            var seen = new List<byte[]>();
            foreach (var part in new[] { bytes[..split], bytes[split..] })
            {
                pending.AddRange(part);
                var buffer = Segmented([.. pending]);
                while (GrpcFrame.TryRead(ref buffer, Max, out var message))
                {
                    seen.Add(message.ToArray());
                }

                pending = [.. buffer.ToArray()];
            }

            seen.Should().BeEquivalentTo(messages, options => options.WithStrictOrdering());
            pending.Should().BeEmpty();
        }
    }

    [Theory]
    [InlineData(Max, true)]
    [InlineData(Max + 1, false)]
    [InlineData(int.MaxValue, false)]
    [InlineData(0x8000_0000, false)]
    [InlineData(uint.MaxValue, false)]
    public void TryRead_OnlyTheHeaderIsThere_JudgesTheLengthByIt(uint length, bool allowed)
    {
        var header = new ReadOnlySequence<byte>([0, (byte)(length >> 24), (byte)(length >> 16), (byte)(length >> 8), (byte)length]);
        var act = () => GrpcFrame.TryRead(ref header, Max, out _);

        if (allowed)
        {
            act().Should().BeFalse();
        }
        else
        {
            act.Should().Throw<PoolFaultException>().Where(e => e.Code == PoolFaultCode.ResourceExhausted).WithMessage($"*{length} B*MaxMessageBytes*");
        }
    }

    [Theory]
    [InlineData(1, PoolFaultCode.Unimplemented)]
    [InlineData(2, PoolFaultCode.Internal)]
    [InlineData(255, PoolFaultCode.Internal)]
    public void TryRead_FlagIsNotZero_Throws(byte flag, PoolFaultCode code)
    {
        var buffer = new ReadOnlySequence<byte>([flag, 0, 0, 0, 0]);

        FluentActions.Invoking(() => GrpcFrame.TryRead(ref buffer, Max, out _)).Should().Throw<PoolFaultException>().Which.Code.Should().Be(code);
    }

    [Fact]
    public async Task ReadAsync_StreamEndsWithinAMessage_Throws()
    {
        var bytes = Encode([1, 2, 3]);
        for (var length = 0; length < bytes.Length; length++)
        {
            var reader = PipeReader.Create(new MemoryStream(bytes[..length]));
            if (length == 0)
            {
                (await GrpcFrame.ReadAsync(reader, Max, announced: null, default)).Should().BeNull();
            }
            else
            {
                (await reader.Awaiting(r => GrpcFrame.ReadAsync(r, Max, announced: null, default).AsTask()).Should().ThrowAsync<PoolFaultException>())
                    .Which.Code.Should().Be(PoolFaultCode.Internal);
            }
        }
    }

    /// <summary>Row 30: 10^6 random and mutated streams. The outcome is messages, a fault, or "not yet"; a model says which.</summary>
    [Fact]
    public void Row30_GarbageAndMutatedStreams_AreMessagesOrFaults()
    {
        var random = new Random(4711);
        var bytes = new byte[200];
        var outcomes = new int[3];
        for (var round = 0; round < 1_000_000; round++)
        {
            var length = Fill(random, bytes, isGarbage: round % 4 == 0);
            var expected = Model(bytes.AsSpan(0, length));
            var actual = Read(bytes, length, random.Next(length + 1));
            if (actual != expected)
            {
                Assert.Fail($"Round {round}: {actual} instead of {expected} for {Convert.ToHexString(bytes, 0, length)}.");
            }

            outcomes[expected.Fault is null ? (expected.Left == 0 ? 0 : 1) : 2]++;
        }

        outcomes.Should().OnlyContain(count => count > 10_000, "each kind must have been tried");
    }

    private static int Fill(Random random, byte[] bytes, bool isGarbage)
    {
        if (isGarbage)
        {
            random.NextBytes(bytes);
            bytes[0] &= (byte)random.Next(4);
            return random.Next(bytes.Length);
        }

        var length = 0;
        for (var message = random.Next(1, 4); message > 0 && length < 120; message--)
        {
            var size = random.Next(0, random.Next(2) == 0 ? 4 : 60);
            GrpcFrame.WriteHeader(bytes.AsSpan(length), size);
            length += GrpcFrame.HeaderLength + size;
        }

        for (var mutation = random.Next(3); mutation > 0; mutation--)
        {
            bytes[random.Next(length)] ^= (byte)(1 << random.Next(8));
        }

        return random.Next(3) == 0 ? random.Next(length + 1) : length;
    }

    private static (int Messages, int Left, PoolFaultCode? Fault) Model(ReadOnlySpan<byte> bytes)
    {
        var messages = 0;
        while (bytes.Length >= 5)
        {
            long length = ((long)bytes[1] << 24) + (bytes[2] << 16) + (bytes[3] << 8) + bytes[4];
            if (bytes[0] != 0 || length > Max)
            {
                return (messages, bytes.Length, bytes[0] == 1 ? PoolFaultCode.Unimplemented : bytes[0] > 1 ? PoolFaultCode.Internal : PoolFaultCode.ResourceExhausted);
            }

            if (bytes.Length - 5 < length)
            {
                break;
            }

            messages++;
            bytes = bytes[(5 + (int)length)..];
        }

        return (messages, bytes.Length, null);
    }

    private static (int Messages, int Left, PoolFaultCode? Fault) Read(byte[] bytes, int length, int split)
    {
        var buffer = Joined(bytes, split, length);
        var messages = 0;
        try
        {
            while (GrpcFrame.TryRead(ref buffer, Max, out _))
            {
                messages++;
            }

            return (messages, (int)buffer.Length, null);
        }
        catch (PoolFaultException e)
        {
            return (messages, (int)buffer.Length, e.Code);
        }
    }

    private static byte[] Encode(byte[] message)
    {
        var bytes = new byte[GrpcFrame.HeaderLength + message.Length];
        GrpcFrame.WriteHeader(bytes, message.Length);
        message.CopyTo(bytes, GrpcFrame.HeaderLength);
        return bytes;
    }

    private static ReadOnlySequence<byte> Segmented(byte[] bytes) => Joined(bytes, bytes.Length / 2, bytes.Length);

    private static ReadOnlySequence<byte> Joined(byte[] bytes, int split, int length)
    {
        var last = new Piece(bytes.AsMemory(split, length - split), split, null);
        return new ReadOnlySequence<byte>(new Piece(bytes.AsMemory(0, split), 0, last), 0, last, length - split);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, long index, Piece? next) => (Memory, RunningIndex, Next) = (memory, index, next);
    }
}
