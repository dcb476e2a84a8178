using System.Runtime.Versioning;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Sources.Windows;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Server.Windows;

/// <summary>A segment on Windows: a section, mapped and page-locked here.</summary>
[SupportedOSPlatform("windows")]
internal sealed class SectionSegment(SharedMemoryRegion region, ulong id)
    : Segment(region.LengthBytes, region.Capabilities.HasFlag(PoolCapabilities.PageLocked))
{
    private readonly Lock _sealing = new();
    private SafeFileHandle? _toRead;
    private bool _isSealed;

    public override nint Address => region.Address;

    /// <summary>What a client gets a copy of: with the rights that the seal left.</summary>
    public override SafeFileHandle File => Volatile.Read(ref _toRead) ?? region.Descriptor;

    public override ulong Inode => id;

    /// <summary>No path leads to a handle of another process.</summary>
    public override string Path => "";

    public override void Seal(bool readOnly)
    {
        lock (_sealing)
        {
            if (!_isSealed)
            {
                Volatile.Write(ref _toRead, readOnly ? MemorySection.OpenToRead(region.Descriptor) : null);
                _isSealed = true;
            }
        }
    }

    /// <summary>By stores: nobody can take pages out of a section.</summary>
    public override ValueTask ClearAsync() => new(Task.Run(Clear));

    /// <summary>The pages go with their last holder: Windows cannot take them from under a process that maps them.</summary>
    public override ValueTask DiscardAsync(bool freesPages) => new(Task.Run(() =>
    {
        _toRead?.Dispose();
        region.Dispose();
    }));

    private unsafe void Clear() => System.Runtime.InteropServices.NativeMemory.Clear((void*)Address, (nuint)LengthBytes);
}
