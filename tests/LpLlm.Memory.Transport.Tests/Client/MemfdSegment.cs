using System.Runtime.InteropServices;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>A real memory file, as a server has it: sealed, mapped, not page-locked.</summary>
internal sealed class MemfdSegment : Segment
{
    private const int KeepSizeAndPunchHole = 1 | 2;

    private readonly MemfdSegmentSource _source;
    private readonly SafeFileHandle _file;

    public MemfdSegment(MemfdSegmentSource source, SafeFileHandle file, long lengthBytes)
        : base(lengthBytes, isPageLocked: true)
    {
        _source = source;
        _file = file;
        SocketNative.TryGetStatus(file, out var status).Should().BeTrue();
        Inode = status.Inode;
        Address = MemoryCalls.Map(0, (nint)lengthBytes, MemoryCalls.ProtReadWrite, MemoryCalls.MapShared, file, 0);
        Address.Should().NotBe(MemoryCalls.Failed);
    }

    public override nint Address { get; }

    public override SafeFileHandle? File => _file;

    public override ulong Inode { get; }

    public override string Path => $"/proc/{Environment.ProcessId}/fd/{_file.DangerousGetHandle()}";

    /// <summary>The source seals what it makes for good.</summary>
    public override void Seal(bool readOnly) => readOnly.Should().BeFalse();

    public override unsafe ValueTask ClearAsync()
    {
        NativeMemory.Clear((void*)Address, (nuint)LengthBytes);
        return ValueTask.CompletedTask;
    }

    public override ValueTask DiscardAsync(bool freesPages)
    {
        if (freesPages)
        {
            MemfdCalls.Check(MemfdCalls.Allocate(_file, KeepSizeAndPunchHole, 0, LengthBytes));
        }

        MemfdCalls.Check(MemoryCalls.Unmap(Address, (nint)LengthBytes));
        _file.Dispose();
        _source.Forget(LengthBytes);
        return ValueTask.CompletedTask;
    }
}
