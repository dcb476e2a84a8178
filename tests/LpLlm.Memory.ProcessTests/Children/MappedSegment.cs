using LpLlm.Memory.Transport.Client;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Children;

/// <summary>A segment with its descriptor, mapped as the library's client maps it.</summary>
internal sealed class MappedSegment(Segment described, SafeFileHandle file) : IDisposable
{
    private AddressRange? _range;

    public ulong Id => described.Id;

    public ulong Inode => described.Inode;

    public long LengthBytes => described.LengthBytes;

    public SafeFileHandle File => file;

    public nint Address { get; private set; }

    public void MapInto(AddressRange range)
    {
        if (_range is null)
        {
            SegmentFile.Verify(file, LengthBytes, Inode, "pipe");
            Address = range.Take(LengthBytes);
            LinuxAddressRange.Map(file, Address, LengthBytes);
            _range = range;
        }
    }

    public void Dispose()
    {
        _range?.Return(Address, LengthBytes);
        _range = null;
        file.Dispose();
    }
}
