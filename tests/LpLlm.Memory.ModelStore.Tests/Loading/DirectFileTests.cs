using System.Runtime.InteropServices;

namespace LpLlm.Memory.Models;

/// <summary>One file of a real file system.</summary>
public sealed unsafe class DirectFileTests : IDisposable
{
    private const int LengthBytes = 20_000;
    private readonly ModelFiles _files = new();
    private readonly byte[] _bytes;
    private readonly byte* _memory = (byte*)NativeMemory.AlignedAlloc(2 * LengthBytes, DirectFile.BlockBytes);

    public DirectFileTests() => _bytes = _files.Add("a", LengthBytes);

    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        _files.Dispose();
    }

    [Fact]
    public void F2_Read_TailRoundedUp_IsShortAndRight()
    {
        using var file = new DirectFile(_files.PathOf("a", 0));

        file.Read((nint)_memory, 20_480, 0).Should().Be(LengthBytes);

        new ReadOnlySpan<byte>(_memory, LengthBytes).SequenceEqual(_bytes).Should().BeTrue();
        file.Read((nint)_memory, 4096, 20_480).Should().Be(0);
    }

    [Fact]
    public void F2_Read_RefusedDirectly_ComesThroughThePageCache()
    {
        using var file = new DirectFile(_files.PathOf("a", 0));

        var read = file.Read((nint)(_memory + 1), 1001, 3);

        read.Should().Be(1001, "a file system that insists on blocks is asked again without O_DIRECT");
        new ReadOnlySpan<byte>(_memory + 1, 1001).SequenceEqual(_bytes.AsSpan(3, 1001)).Should().BeTrue();
    }

    [Fact]
    public void TryReadCached_FileThatWasJustWritten_ComesOrSaysThatItIsNotThere()
    {
        using var file = new DirectFile(_files.PathOf("a", 0));
        new Span<byte>(_memory, 2 * LengthBytes).Fill(0xFF);

        var isCached = file.TryReadCached((nint)(_memory + 1), 10_001, 5);

        new ReadOnlySpan<byte>(_memory + 1, 10_001).SequenceEqual(_bytes.AsSpan(5, 10_001)).Should().Be(isCached);
        file.TryReadCached((nint)_memory, 4096, 1 << 20).Should().BeFalse("there is no such range");
    }

    [Fact]
    public void Read_DiskFails_IOException()
    {
        using var file = new DirectFile(_files.PathOf("a", 0));

        var read = () => file.Read(8, 4096, 0); // no memory there: EFAULT

        read.Should().Throw<IOException>().WithMessage("Bad address*");
    }
}
