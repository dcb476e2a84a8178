using LpLlm.Memory.Sources.Windows;
using LpLlm.Memory.Transport.Pipes.Windows;
using LpLlm.Memory.Transport.Windows;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Windows;

/// <summary>Handles on their way between a client and a server, which are one process here.</summary>
public sealed class HandlePassingTests : IDisposable
{
    private readonly SafeProcessHandle _process =
        HandleCalls.OpenProcess(HandleCalls.MayDuplicateHandles, inherit: false, Environment.ProcessId);

    private readonly ClientHandles _client = new();
    private readonly SafeFileHandle _section = MemorySection.Create(1 << 20);

    public void Dispose()
    {
        _process.Dispose();
        _section.Dispose();
    }

    [Fact]
    public void Give_ByTheServer_IsTheClientsToClose()
    {
        var number = new ServerHandles(_process).Give(_section);

        using (var taken = _client.Take(number))
        {
            MemorySection.Identify(taken).Should().Be(MemorySection.Identify(_section));
        }

        IsHandle(number).Should().BeFalse();
    }

    [Fact]
    public void Give_ByTheClient_LeavesNothingBehindAtTheClientOnceItIsTaken()
    {
        var server = new ServerHandles(_process);
        var number = _client.Give(_section);

        using (var taken = server.Take(number))
        {
            MemorySection.Identify(taken).Should().Be(MemorySection.Identify(_section));
        }

        IsHandle(number).Should().BeFalse();
    }

    [Fact]
    public void TakeBack_WhatDidNotLeave_ClosesIt()
    {
        var server = new ServerHandles(_process);
        var atClient = server.Give(_section);
        var ofClient = _client.Give(_section);

        server.TakeBack(atClient);
        _client.TakeBack(ofClient);

        IsHandle(atClient).Should().BeFalse();
        IsHandle(ofClient).Should().BeFalse();
    }

    /// <summary>Numbers may be used again by other threads, but not for a section of this name.</summary>
    private bool IsHandle(long number)
    {
        using var handle = new SafeFileHandle((nint)number, ownsHandle: false);
        return MemorySection.Identify(handle) == MemorySection.Identify(_section);
    }
}
