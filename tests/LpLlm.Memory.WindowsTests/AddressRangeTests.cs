using LpLlm.Memory.Sources.Windows;
using LpLlm.Memory.Transport.Client;
using LpLlm.Memory.Transport.Windows;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Windows;

/// <summary>Addresses into which a server's segments are mapped.</summary>
public sealed class AddressRangeTests : IDisposable
{
    private const long MiB = 1 << 20;
    private const long SegmentBytes = 4 * MiB;

    private readonly AddressRange _range = AddressRange.Create(16 * MiB);
    private readonly SafeFileHandle _section = MemorySection.Create(SegmentBytes);

    public void Dispose()
    {
        _range.Dispose();
        _section.Dispose();
    }

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(2, 1, 0)]
    [InlineData(1, 0, 2)]
    public unsafe void Map_SegmentsInAnyOrder_LieOneBehindTheOther(params int[] order)
    {
        var address = _range.Take(3 * SegmentBytes);
        foreach (var i in order)
        {
            Map(address + (nint)(i * SegmentBytes));
        }

        (address % (nint)(2 * MiB)).Should().Be(0);
        for (var i = 0; i < 3; i++)
        {
            *(byte*)(address + (nint)(i * SegmentBytes) + 5) = (byte)(i + 1);
        }

        (*(byte*)(address + 5)).Should().Be(3, "all three are views of one section");
        _range.Return(address, 3 * SegmentBytes);
    }

    [Fact]
    public void Return_SomeMappedAndSomeNot_LeavesNothingBehind()
    {
        for (var i = 0; i < 100; i++)
        {
            var address = _range.Take(16 * MiB);
            Map(address + (nint)SegmentBytes);
            _range.Return(address, 16 * MiB);
        }

        var last = _range.Take(16 * MiB);
        _range.Return(last, 16 * MiB);
    }

    [Fact]
    public void Take_MoreThanTheCapacity_IsRefusedUntilSomeIsReturned()
    {
        var address = _range.Take(12 * MiB);

        _range.Invoking(r => r.Take(6 * MiB)).Should().Throw<MemorySourceException>().Which.LimitBytes.Should().Be(16 * MiB);

        _range.Return(address, 12 * MiB);
        _range.Return(_range.Take(16 * MiB), 16 * MiB);
    }

    [Fact]
    public void Map_AddressesThatOthersTook_IsRefusedAndTheirsStay()
    {
        var address = _range.Take(2 * SegmentBytes);
        Map(address);
        var second = address + (nint)SegmentBytes;
        ViewCalls.Free(second, 0, ViewCalls.Release).Should().BeTrue();
        var others = ViewCalls.Allocate(second, 1 << 16, ViewCalls.Reserve, ViewCalls.NoAccess);
        others.Should().Be(second, "another part of the process was quicker");

        // The reservation that the range would release is gone: it is the other's.
        this.Invoking(test => test.Map(second + (1 << 16))).Should().Throw<MemorySourceException>();

        ViewCalls.Free(others, 0, ViewCalls.Release).Should().BeTrue("it was not unmapped under its owner");
    }

    [Fact]
    public void Map_SectionIsShorterThanTheServerSays_IsRefused()
    {
        var address = _range.Take(2 * SegmentBytes);

        _range.Invoking(r => r.Map(_section, address, 2 * SegmentBytes, 0, "pipe", readOnly: false)).Should().Throw<MemorySourceException>();

        _range.Return(address, 2 * SegmentBytes);
        _range.Return(_range.Take(16 * MiB), 16 * MiB);
    }

    [Fact]
    public void Map_HandleToReadOnly_CannotBeMappedForWriting()
    {
        using var toRead = MemorySection.OpenToRead(_section);
        var address = _range.Take(SegmentBytes);

        _range.Invoking(r => r.Map(toRead, address, SegmentBytes, 0, "pipe", readOnly: false)).Should().Throw<MemorySourceException>();
        _range.Map(toRead, address, SegmentBytes, 0, "pipe", readOnly: true);

        _range.Return(address, SegmentBytes);
    }

    private void Map(nint address) => _range.Map(_section, address, SegmentBytes, 0, "pipe", readOnly: false);
}
