using LpLlm.Memory.Server.Windows;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Sources.Windows;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Windows;

/// <summary>A server's segments.</summary>
public sealed class SectionSegmentTests
{
    private const long MiB = 1 << 20;

    private readonly SectionSegmentSource _source = new(new HostMemorySettings(), NullLogger.Instance);

    [Fact]
    public async Task Seal_ReadOnly_ClientsCanReadAndNotWrite()
    {
        var segment = await _source.CreateAsync(2 * MiB, default).DefaultTimeout();
        Fill(segment, 7);

        segment.Seal(readOnly: true);
        segment.Seal(readOnly: false); // the first call decides

        using var atClient = Descriptors.Duplicate(segment.File!);
        MemoryCalls.Map(atClient, MemoryCalls.MapWrite, 0, 0, 0, 0).Should().Be(0);
        var view = MemoryCalls.Map(atClient, MemoryCalls.MapRead, 0, 0, 0, 0);
        First(view).Should().Be(7);
        MemoryCalls.Unmap(view).Should().BeTrue();
        await segment.DiscardAsync(freesPages: false).DefaultTimeout();
    }

    [Fact]
    public async Task ClearAsync_OfASegmentThatAClientMaps_ZeroesItThere()
    {
        var segment = await _source.CreateAsync(4 * MiB, default).DefaultTimeout();
        using var atClient = Descriptors.Duplicate(segment.File!);
        var view = MemoryCalls.Map(atClient, MemoryCalls.MapWrite, 0, 0, 0, 0);
        Fill(segment, 7);

        await segment.ClearAsync().DefaultTimeout();

        First(view).Should().Be(0);
        MemoryCalls.Unmap(view).Should().BeTrue();
        await segment.DiscardAsync(freesPages: true).DefaultTimeout();
    }

    [Fact]
    public async Task AdoptAsync_WhatAClientHeld_IsTheSameMemory()
    {
        var old = await _source.CreateAsync(4 * MiB, default).DefaultTimeout();
        Fill(old, 7);
        var held = Descriptors.Duplicate(old.File!);
        await old.DiscardAsync(freesPages: false).DefaultTimeout();

        var adopted = await _source.AdoptAsync(held, 4 * MiB, default).DefaultTimeout();

        adopted.Inode.Should().Be(old.Inode);
        adopted.IsPageLocked.Should().BeTrue();
        First(adopted.Address).Should().Be(7);
        await adopted.DiscardAsync(freesPages: false).DefaultTimeout();
    }

    [Fact]
    public async Task AdoptAsync_LongerThanTheSection_IsRefused()
    {
        var segment = await _source.CreateAsync(2 * MiB, default).DefaultTimeout();
        using var held = Descriptors.Duplicate(segment.File!);

        await _source.Awaiting(s => s.AdoptAsync(held, 4 * MiB, default).AsTask()).Should().ThrowAsync<MemorySourceException>();

        await segment.DiscardAsync(freesPages: false).DefaultTimeout();
    }

    [Fact]
    public async Task AdoptAsync_HandleOfAFile_IsRefused()
    {
        var path = Path.GetTempFileName();
        using var file = File.OpenHandle(path, options: FileOptions.DeleteOnClose);

        await _source.Awaiting(s => s.AdoptAsync(file, 2 * MiB, default).AsTask()).Should().ThrowAsync<MemorySourceException>();
    }

    private static unsafe void Fill(Segment segment, byte value) => new Span<byte>((void*)segment.Address, (int)segment.LengthBytes).Fill(value);

    private static unsafe byte First(nint address) => *(byte*)address;
}
