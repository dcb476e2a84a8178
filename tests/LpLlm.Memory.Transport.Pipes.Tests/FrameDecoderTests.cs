using System.Buffers;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

public class FrameDecoderTests
{
    private const int MaxMessageBytes = 4096;

    [Fact]
    public void Row06_EveryFrameAtEverySplitPoint_GivesTheSame()
    {
        var (stream, expected) = Encode([0, 1, 11, 12, 13, 100, MaxMessageBytes, 0, 7]);

        for (var split = 0; split <= stream.Length; split += split < 600 ? 1 : 97)
        {
            Decode([stream[..split], stream[split..]]).Should().Equal(expected);
        }
    }

    [Fact]
    public void Row06_ByteByByte_GivesTheSame()
    {
        var (stream, expected) = Encode([0, 1, 200, MaxMessageBytes, 3]);

        Decode(stream.Select(b => new[] { b })).Should().Equal(expected);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Row06_RandomChunks_GiveTheSame(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            var (stream, expected) = Encode(Enumerable.Range(0, random.Next(1, 20)).Select(_ => random.Next(0, 300)).ToArray());
            Decode(Split(stream, random)).Should().Equal(expected);
        }
    }

    [Theory]
    [InlineData(0u, true)]
    [InlineData(1u, true)]
    [InlineData(MaxMessageBytes - 1u, true)]
    [InlineData((uint)MaxMessageBytes, true)]
    public void Row10_PayloadWithinTheLimit_Arrives(uint lengthBytes, bool whole)
    {
        var (stream, expected) = Encode([(int)lengthBytes]);

        (Decode([stream]).SequenceEqual(expected) == whole).Should().BeTrue();
    }

    [Theory]
    [InlineData(MaxMessageBytes + 1)]
    [InlineData(64 << 20)]
    public void Row10_PayloadOverTheLimit_IsToldAtItsHeaderAndSkipped(int lengthBytes)
    {
        using var sut = new FrameDecoder(fromClient: true, MaxMessageBytes);
        var header = Header(new FrameHeader((uint)lengthBytes, 5, FrameKind.Request, PoolMethod.List, 0));

        var start = new ReadOnlySequence<byte>(header);
        sut.TryRead(ref start, out var frame).Should().BeTrue("nothing of the payload need have arrived");

        frame.Message.Should().BeNull();
        frame.Header.Call.Should().Be(5);
        sut.IsInsideFrame.Should().BeTrue();
        var zeros = new byte[64 << 10];
        for (var left = lengthBytes; left > 0; left -= zeros.Length)
        {
            var chunk = new ReadOnlySequence<byte>(zeros, 0, Math.Min(left, zeros.Length));
            sut.TryRead(ref chunk, out _).Should().BeFalse();
            chunk.IsEmpty.Should().BeTrue();
        }

        sut.IsInsideFrame.Should().BeFalse();
        var next = new ReadOnlySequence<byte>(Header(new FrameHeader(0, 6, FrameKind.Request, PoolMethod.List, 0)));
        sut.TryRead(ref next, out frame).Should().BeTrue();
        frame.Header.Call.Should().Be(6);
    }

    [Theory]
    [InlineData((64u << 20) + 1)]
    [InlineData((uint)int.MaxValue)]
    [InlineData(1u << 31)]
    [InlineData(uint.MaxValue)]
    public void Row10_PayloadBeyondReason_IsAnErrorBeforeAnythingIsKept(uint lengthBytes) =>
        Failing(new FrameHeader(lengthBytes, 5, FrameKind.Request, PoolMethod.List, 0), fromClient: true);

    [Theory]
    [InlineData(4097)]
    [InlineData(0x7fff)]
    [InlineData(0x8000)]
    [InlineData(0xffff)]
    public void Row10_MoreDescriptorsThanAMessageHas_IsAnError(int count) =>
        Failing(new FrameHeader(0, 5, FrameKind.Request, PoolMethod.List, count), fromClient: true);

    [Fact]
    public void Row10_LongestCounts_DoNotOverflow()
    {
        var header = new FrameHeader(uint.MaxValue, 1, FrameKind.Request, PoolMethod.List, ushort.MaxValue);

        header.FrameBytes.Should().Be(12L + uint.MaxValue + 259);
        FrameHeader.Read(Header(header)).Should().Be(header);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(253, 0)]
    [InlineData(254, 1)]
    [InlineData(506, 1)]
    [InlineData(507, 2)]
    [InlineData(4096, 16)]
    public void FillerBytes_AreOnePerFurtherChunk(int files, int expected) =>
        new FrameHeader(0, 1, FrameKind.Request, PoolMethod.List, files).FillerBytes.Should().Be(expected);

    [Theory]
    [InlineData(6, 1u, 0)]
    [InlineData(6, 0u, 1)]
    [InlineData(2, 0u, 0)]
    [InlineData(3, 0u, 0)]
    [InlineData(4, 0u, 0)]
    [InlineData(5, 0u, 0)]
    [InlineData(0, 0u, 0)]
    [InlineData(7, 0u, 0)]
    [InlineData(255, 0u, 0)]
    public void TryRead_FrameThatNoClientSends_IsAnError(byte kind, uint lengthBytes, int files) =>
        Failing(new FrameHeader(lengthBytes, 5, (FrameKind)kind, 0, files), fromClient: true);

    [Theory]
    [InlineData(1, 0u, 0)]
    [InlineData(6, 0u, 0)]
    [InlineData(3, FaultPayload.MaxBytes + 1u, 0)]
    [InlineData(3, 0u, 1)]
    [InlineData(5, 1u, 0)]
    [InlineData(5, 0u, 1)]
    public void TryRead_FrameThatNoServerSends_IsAnError(byte kind, uint lengthBytes, int files) =>
        Failing(new FrameHeader(lengthBytes, 5, (FrameKind)kind, 0, files), fromClient: false);

    [Fact]
    public void Row29_DescriptorsThatNoFrameAnnounced_AreAnErrorAndAreClosed()
    {
        var files = Enumerable.Range(0, 3).Select(_ => File.OpenHandle("/dev/null")).ToArray();
        var sut = new FrameDecoder(fromClient: true, MaxMessageBytes);
        Array.ForEach(files, sut.Add);
        var frame = new ReadOnlySequence<byte>(Header(new FrameHeader(0, 5, FrameKind.Request, PoolMethod.List, 1)));

        sut.TryRead(ref frame, out var decoded).Should().BeTrue();
        FluentActions.Invoking(() => sut.TryRead(ref frame, out _)).Should().Throw<FrameException>();

        decoded.Message!.Dispose();
        sut.Dispose();
        files.Should().OnlyContain(file => file.IsClosed);
    }

    [Fact]
    public void Row29_FewerDescriptorsThanAnnounced_IsAnError()
    {
        using var sut = new FrameDecoder(fromClient: true, MaxMessageBytes);
        sut.Add(File.OpenHandle("/dev/null"));
        var frame = new ReadOnlySequence<byte>(Header(new FrameHeader(0, 5, FrameKind.Request, PoolMethod.List, 2)));

        FluentActions.Invoking(() => sut.TryRead(ref frame, out _)).Should().Throw<FrameException>();
    }

    [Fact]
    public void TryRead_DescriptorsOfASkippedFrame_AreClosed()
    {
        using var sut = new FrameDecoder(fromClient: true, MaxMessageBytes);
        var file = File.OpenHandle("/dev/null");
        sut.Add(file);
        var stream = new byte[FrameHeader.LengthBytes + MaxMessageBytes + 1];
        new FrameHeader(MaxMessageBytes + 1, 5, FrameKind.Request, PoolMethod.List, 1).Write(stream);
        var buffer = new ReadOnlySequence<byte>(stream);

        sut.TryRead(ref buffer, out var frame).Should().BeTrue();

        frame.Message.Should().BeNull();
        file.IsClosed.Should().BeTrue();
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    [InlineData("\0\0\0\0\0\0\0\0")]
    [InlineData("LPOOL\u0002\0\0")]
    [InlineData("X")]
    public void Row30_OtherProtocolOrVersion_IsTold(string text) =>
        FluentActions.Invoking(() => Preface.Check(Encoding.Latin1.GetBytes(text).AsSpan())).Should().Throw<FrameException>();

    [Fact]
    public void Preface_OfThisVersion_IsTaken()
    {
        for (var length = 0; length <= Preface.LengthBytes; length++)
        {
            Preface.Check(Preface.Create().AsSpan(0, length));
        }

        Preface.IsRefusal(Preface.Create()).Should().BeFalse();
        Preface.IsRefusal(Preface.Create(refused: true)).Should().BeTrue();
    }

    [Theory]
    [InlineData(new byte[0])]
    [InlineData(new byte[] { 1, 0, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 1, 0, 0, 0, 1, 0, 0, 0 })]
    [InlineData(new byte[] { 1, 0, 0, 0, 255, 255, 255, 255, 65 })]
    [InlineData(new byte[] { 1, 0, 0, 0, 255, 255, 255, 127, 65 })]
    [InlineData(new byte[] { 1, 0, 0, 0, 0, 0, 0, 128, 65 })]
    public void Row10_FaultThatIsNotWhole_IsAnError(byte[] payload) =>
        FluentActions.Invoking(() => FaultPayload.Decode(payload)).Should().Throw<FrameException>();

    [Fact]
    public void Decode_FaultWithABrokenText_IsStillAFault()
    {
        var fault = FaultPayload.Decode(new byte[] { 99, 0, 0, 0, 2, 0, 0, 0, 0xC3, 0x28, 7 });

        fault.Code.Should().Be(PoolFaultCode.Unknown);
        fault.Data.ToArray().Should().Equal(7);
    }

    /// <summary>Together a million frames: random ones, and valid ones with flipped bits, in random chunks, with random descriptors.</summary>
    [Theory]
    [InlineData(4711)]
    [InlineData(4712)]
    [InlineData(4713)]
    [InlineData(4714)]
    public void Row30_AMillionRandomAndMutatedFrames_AreDecodedOrATypedError(int seed)
    {
        var random = new Random(seed);
        var (errors, decoded, skipped) = (0, 0, 0);
        for (var frames = 0; frames < 250_000;)
        {
            using var sut = new FrameDecoder(fromClient: random.Next(2) == 0, MaxMessageBytes);
            var given = new List<SafeFileHandle>();
            var (stream, count) = Fuzzed(random);
            frames += count;
            try
            {
                var left = ReadOnlySequence<byte>.Empty;
                foreach (var chunk in Split(stream, random))
                {
                    if (random.Next(16) == 0)
                    {
                        given.Add(new SafeFileHandle(-1, ownsHandle: false));
                        sut.Add(given[^1]);
                    }

                    left = Join(left, chunk);
                    var before = left.Length;
                    while (sut.TryRead(ref left, out var frame))
                    {
                        Assert.True(left.Length < before, "Every frame takes bytes: else the loop would not end.");
                        before = left.Length;
                        Assert.True((frame.Message?.Payload.Length ?? 0) <= FaultPayload.MaxBytes);
                        (decoded, skipped) = frame.Message is null ? (decoded, skipped + 1) : (decoded + 1, skipped);
                        frame.Message?.Dispose();
                    }

                    Assert.True(sut.HeldFiles <= FrameHeader.MaxFiles);
                }
            }
            catch (FrameException)
            {
                errors++;
            }

            sut.Dispose();
            Assert.True(given.TrueForAll(file => file.IsClosed));
        }

        errors.Should().BePositive();
        decoded.Should().BePositive();
        skipped.Should().BePositive();
    }

    private static (byte[] Stream, int Count) Fuzzed(Random random)
    {
        var stream = new ArrayBufferWriter<byte>();
        var count = random.Next(1, 30);
        for (var i = 0; i < count; i++)
        {
            var length = random.Next(12) == 0 ? random.Next(MaxMessageBytes, 2 * MaxMessageBytes) : random.Next(0, 40);
            var header = new FrameHeader((uint)length, (uint)random.Next(), (FrameKind)random.Next(1, 7), (PoolMethod)random.Next(0, 16), random.Next(30) == 0 ? 1 : 0);
            header = header.Kind is FrameKind.Cancel or FrameKind.End ? header with { PayloadBytes = 0, FileCount = 0 } : header;
            header.Write(stream.GetSpan(FrameHeader.LengthBytes));
            stream.Advance(FrameHeader.LengthBytes);
            stream.GetSpan(length)[..(int)header.PayloadBytes].Fill((byte)i);
            stream.Advance((int)header.PayloadBytes);
        }

        var bytes = stream.WrittenSpan.ToArray();
        if (random.Next(3) == 0)
        {
            random.NextBytes(bytes);
        }
        else
        {
            for (var flips = random.Next(4); flips > 0; flips--)
            {
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            }
        }

        return (bytes, count);
    }

    private static ReadOnlySequence<byte> Join(ReadOnlySequence<byte> left, byte[] chunk) =>
        new([.. left.ToArray(), .. chunk]);

    private static void Failing(FrameHeader header, bool fromClient)
    {
        using var sut = new FrameDecoder(fromClient, MaxMessageBytes);
        var start = new ReadOnlySequence<byte>(Header(header));

        FluentActions.Invoking(() => sut.TryRead(ref start, out _)).Should().Throw<FrameException>();
    }

    private static byte[] Header(FrameHeader header)
    {
        var bytes = new byte[FrameHeader.LengthBytes];
        header.Write(bytes);
        return bytes;
    }

    private static (byte[] Stream, string[] Expected) Encode(int[] lengths)
    {
        var (stream, expected) = (new List<byte>(), new List<string>());
        for (var i = 0; i < lengths.Length; i++)
        {
            var payload = new byte[lengths[i]];
            new Random(i).NextBytes(payload);
            stream.AddRange(Header(new FrameHeader((uint)payload.Length, (uint)i, FrameKind.Request, PoolMethod.Grow, 0)));
            stream.AddRange(payload);
            expected.Add(Describe(i, payload));
        }

        return ([.. stream], [.. expected]);
    }

    private static string Describe(int call, ReadOnlySpan<byte> payload) => $"{call}: {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(payload))}";

    private static IEnumerable<byte[]> Split(byte[] stream, Random random)
    {
        for (var start = 0; start < stream.Length;)
        {
            var length = Math.Min(random.Next(1, random.Next(4) == 0 ? 8 : 4096), stream.Length - start);
            yield return stream[start..(start + length)];
            start += length;
        }
    }

    private static List<string> Decode(IEnumerable<byte[]> chunks)
    {
        using var sut = new FrameDecoder(fromClient: true, MaxMessageBytes);
        var frames = new List<string>();
        var left = ReadOnlySequence<byte>.Empty;
        foreach (var chunk in chunks)
        {
            left = Join(left, chunk);
            while (sut.TryRead(ref left, out var frame))
            {
                frames.Add(Describe((int)frame.Header.Call, frame.Message!.Payload.Span));
            }

            sut.IsInsideFrame.Should().Be(!left.IsEmpty);
        }

        return frames;
    }
}
