using LpLlm.Memory.Devices;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Client;
using static LpLlm.Memory.Transport.Client.ServerHarness;

namespace LpLlm.Memory.Transport.Devices;

/// <summary>Copies that the server makes between real segments and a simulated device, which client and server see as two processes do.</summary>
public sealed class DeviceCopyTests : IAsyncDisposable
{
    private const long Length = 10 * MiB;

    private readonly SimulatedDevice _servers = new();
    private readonly SimulatedDevice _clients = new();
    private readonly ServerHarness _server;
    private readonly ServerMemorySource _source;

    public DeviceCopyTests()
    {
        _server = new ServerHarness(devices: new SimulatedDeviceSet(new SimulatedDevice("cuda:1"), _servers));
        _source = _server.CreateSource();
    }

    [Theory]
    [InlineData(0, Length)]
    [InlineData(0, 1)]
    [InlineData(Length - 1, 1)]
    [InlineData((4 * MiB) - 3, 7)]
    [InlineData(12345, Length - 54321)]
    public async Task ACopyToTheDeviceAndBack_MovesEveryByteAndNoOther(long offset, long length)
    {
        using var region = await _source.ReserveAsync(Length).DefaultTimeout();
        var sent = new byte[Length];
        new Random(7).NextBytes(sent);
        sent.CopyTo(Bytes(region));
        using var buffer = _clients.Allocate(length + 256);
        var memory = ExportedMemory.Of(_clients, buffer);

        await _source.CopyAsync(CopyDirection.ToDevice, region.Address + (nint)offset, length, memory, 128, CancellationToken.None).DefaultTimeout();
        Bytes(region).Clear();
        await _source.CopyAsync(CopyDirection.ToHost, region.Address + (nint)offset, length, memory, 128, CancellationToken.None).DefaultTimeout();

        var range = new Range((int)offset, (int)(offset + length));
        Bytes(region)[range].SequenceEqual(sent.AsSpan()[range]).Should().BeTrue();
        Bytes(region)[..(int)offset].IndexOfAnyExcept((byte)0).Should().Be(-1);
        Bytes(region)[(int)(offset + length)..].IndexOfAnyExcept((byte)0).Should().Be(-1);
        Span(buffer)[..128].IndexOfAnyExcept((byte)0xFF).Should().Be(-1, "in front of the range nothing was written");
        Span(buffer)[^128..].IndexOfAnyExcept((byte)0xFF).Should().Be(-1);
        _servers.Faults.Should().BeEmpty();
    }

    [Fact]
    public async Task CopiesOfManyClients_RunSideBySideOnTwoStreams()
    {
        using var region = await _source.ReserveAsync(Length).DefaultTimeout();
        for (var i = 0; i < Length; i++)
        {
            Bytes(region)[i] = (byte)(i * 31);
        }

        var expected = Bytes(region).ToArray();
        await Parallel.ForAsync(0, 8, async (client, token) =>
        {
            await using var source = _server.CreateSource();
            using var own = await source.ReserveAsync(Length, null, token);
            expected.CopyTo(Bytes(own));
            using var buffer = _clients.Allocate(Length);
            await source.CopyAsync(CopyDirection.ToDevice, own.Address, Length, ExportedMemory.Of(_clients, buffer), 0, token);
            Span(buffer).SequenceEqual(expected).Should().BeTrue("client {0} got its bytes", client);
        }).DefaultTimeout();

        _servers.Executed.Select(step => step.StreamHandle).Distinct().Should().HaveCount(2);
        _servers.Faults.Should().BeEmpty();
    }

    [Fact]
    public async Task U1_ADeadHandle_IsThatClientsErrorOnly()
    {
        await using var other = _server.CreateSource();
        using var region = await _source.ReserveAsync(2 * MiB).DefaultTimeout();
        using var others = await other.ReserveAsync(2 * MiB).DefaultTimeout();
        var freed = _clients.Allocate(2 * MiB);
        var dead = ExportedMemory.Of(_clients, freed);
        freed.Dispose();
        using var live = _clients.Allocate(2 * MiB);

        var fault = await Refused(_source.CopyAsync(CopyDirection.ToDevice, region.Address, 2 * MiB, dead, 0, CancellationToken.None));
        await other.CopyAsync(CopyDirection.ToDevice, others.Address, 2 * MiB, ExportedMemory.Of(_clients, live), 0, CancellationToken.None).DefaultTimeout();
        await _source.CopyAsync(CopyDirection.ToDevice, region.Address, 2 * MiB, ExportedMemory.Of(_clients, live), 0, CancellationToken.None).DefaultTimeout();

        fault.Code.Should().Be((int)PoolFaultCode.InvalidArgument);
        fault.Message.Should().Contain(_servers.Uuid).And.Contain("Export memory that lives");
    }

    [Fact]
    public async Task U7_AnUnknownDevice_IsNamedBesideThoseThereAre()
    {
        using var region = await _source.ReserveAsync(2 * MiB).DefaultTimeout();

        var fault = await Refused(_source.CopyAsync(
            CopyDirection.ToDevice, region.Address, 1, new ExportedMemory("feedface", new byte[64]), 0, CancellationToken.None));

        fault.Code.Should().Be((int)PoolFaultCode.InvalidArgument);
        fault.Message.Should().Contain("feedface").And.Contain(_servers.Uuid);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(65)]
    public async Task U7_AHandleOfAnotherLength_IsRefusedBeforeItIsOpened(int length)
    {
        using var region = await _source.ReserveAsync(2 * MiB).DefaultTimeout();

        var fault = await Refused(_source.CopyAsync(
            CopyDirection.ToDevice, region.Address, 1, new ExportedMemory(_servers.Uuid, new byte[length]), 0, CancellationToken.None));

        fault.Code.Should().Be((int)PoolFaultCode.InvalidArgument);
        fault.Message.Should().Contain($"{length} bytes");
    }

    [Theory]
    [InlineData(1, MiB)]
    [InlineData(MiB, 1)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(-1, 1)]
    [InlineData(long.MinValue, MiB)]
    public async Task U7_ARangeOutsideTheDevicesAllocation_IsRefusedAndNothingIsCopied(long offset, long length)
    {
        using var region = await _source.ReserveAsync(2 * MiB).DefaultTimeout();
        using var buffer = _clients.Allocate(MiB);

        var fault = await Refused(_source.CopyAsync(
            CopyDirection.ToDevice, region.Address, length, ExportedMemory.Of(_clients, buffer), offset, CancellationToken.None));

        fault.Code.Should().Be((int)PoolFaultCode.InvalidArgument);
        _servers.Executed.Should().BeEmpty();
        _servers.Faults.Should().BeEmpty();
    }

    [Fact]
    public async Task WithoutDevices_TheServerSaysWhy()
    {
        await using var server = new ServerHarness(devices: SimulatedDeviceSet.None("The driver is missing: install it."));
        await using var source = server.CreateSource();
        using var region = await source.ReserveAsync(2 * MiB).DefaultTimeout();

        var fault = await Refused(source.CopyAsync(
            CopyDirection.ToDevice, region.Address, 1, new ExportedMemory(_servers.Uuid, new byte[64]), 0, CancellationToken.None));

        fault.Code.Should().Be((int)PoolFaultCode.FailedPrecondition);
        fault.Message.Should().Contain("The driver is missing: install it.");
    }

    [Fact]
    public async Task AnImport_IsOpenedOnceForManyCopies_AndClosedWithTheSession()
    {
        using var buffer = _clients.Allocate(2 * MiB);
        await using (var source = _server.CreateSource())
        {
            using var region = await source.ReserveAsync(2 * MiB).DefaultTimeout();
            for (var i = 0; i < 3; i++)
            {
                await source.CopyAsync(CopyDirection.ToDevice, region.Address, MiB, ExportedMemory.Of(_clients, buffer), i, CancellationToken.None).DefaultTimeout();
                _servers.LiveBuffers.Should().Be(1);
            }
        }

        await TestTimeouts.UntilAsync(() => _servers.LiveBuffers == 0);
    }

    [Fact]
    public async Task ACancelledCopy_ReturnsAtOnce_AndHoldsItsMemoryUntilTheDeviceIsDone()
    {
        var gate = new TaskCompletionSource();
        _servers.Running = _ => gate.Task;
        var region = await _source.ReserveAsync(2 * MiB).DefaultTimeout();
        using var buffer = _clients.Allocate(2 * MiB);
        using var cancellation = new CancellationTokenSource();
        var copy = _source.CopyAsync(CopyDirection.ToHost, region.Address, 2 * MiB, ExportedMemory.Of(_clients, buffer), 0, cancellation.Token);
        await TestTimeouts.UntilAsync(() => _servers.LastOrdinal > 0);

        await cancellation.CancelAsync();
        await copy.Invoking(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        region.Dispose();
        await TestTimeouts.UntilAsync(() => _server.Statistics.LeasedBytes == 0);
        await TestTimeouts.UntilAsync(() => _server.Statistics.PendingBytes == 2 * MiB);
        _servers.LiveBuffers.Should().Be(1, "the device still writes to the lease from it");

        gate.SetResult();
        await TestTimeouts.UntilAsync(() => _server.Statistics.PendingBytes == 0);
        _servers.Faults.Should().BeEmpty();
    }

    [Fact]
    public async Task AClientThatDiesMidCopy_LeavesItsMemoryToTheDevice_UntilThatIsDone()
    {
        var gate = new TaskCompletionSource();
        var death = new TaskCompletionSource();
        _servers.Running = _ => gate.Task;
        _server.Disguise = peer => peer with { IsThisProcess = false, ProcessId = 1, UserId = 0, Exited = death.Task };
        var source = _server.CreateSource();
        var region = await source.ReserveAsync(2 * MiB).DefaultTimeout();
        using var buffer = _clients.Allocate(2 * MiB);
        var copy = source.CopyAsync(CopyDirection.ToDevice, region.Address, 2 * MiB, ExportedMemory.Of(_clients, buffer), 0, CancellationToken.None);
        await TestTimeouts.UntilAsync(() => _servers.LastOrdinal > 0);

        await _server.Network.DropAsync();
        death.SetResult();
        await copy.Invoking(task => task.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        await TestTimeouts.UntilAsync(() => _server.Statistics is { Leases: 0, LeasedBytes: 0 });
        _server.Statistics.PendingBytes.Should().Be(2 * MiB, "the quarantine of 1 ms is over, but not the copy");
        _servers.LiveBuffers.Should().Be(1);

        gate.SetResult();
        await TestTimeouts.UntilAsync(() => _server.Statistics.PendingBytes == 0);
        await TestTimeouts.UntilAsync(() => _servers.LiveBuffers == 0);
        _servers.Faults.Should().BeEmpty();
        region.Dispose();
        await source.DisposeAsync();
    }

    [Fact]
    public async Task ADeviceThatIsLost_FailsTheCopy_AndTheMemoryIsNeverReused()
    {
        var gate = new TaskCompletionSource();
        _servers.Running = _ => gate.Task;
        var region = await _source.ReserveAsync(2 * MiB).DefaultTimeout();
        using var buffer = _clients.Allocate(2 * MiB);
        var copy = _source.CopyAsync(CopyDirection.ToHost, region.Address, 2 * MiB, ExportedMemory.Of(_clients, buffer), 0, CancellationToken.None);
        await TestTimeouts.UntilAsync(() => _servers.LastOrdinal > 0);

        _servers.Lose();
        var lost = (await copy.Invoking(task => task.DefaultTimeout()).Should().ThrowAsync<DeviceCopyLostException>()).Which;
        region.Dispose();
        await TestTimeouts.UntilAsync(() => _server.Statistics.LeasedBytes == 0);

        lost.InnerException.Should().BeOfType<PoolRequestRejectedException>().Which.Code.Should().Be((int)PoolFaultCode.Unknown);
        _server.Statistics.PendingBytes.Should().Be(2 * MiB);
        _server.Logger.Entries.Should().Contain(entry => entry.Id == 2011);
    }

    [Fact]
    public async Task ADeviceThatRefuses_FailsTheCopy_AndTheMemoryIsFreeAfterIt()
    {
        _servers.RefusedOperations.Add(1);
        var region = await _source.ReserveAsync(2 * MiB).DefaultTimeout();
        using var buffer = _clients.Allocate(2 * MiB);

        var fault = await Refused(_source.CopyAsync(CopyDirection.ToHost, region.Address, 2 * MiB, ExportedMemory.Of(_clients, buffer), 0, CancellationToken.None));
        region.Dispose();

        fault.Code.Should().Be((int)PoolFaultCode.FailedPrecondition);
        fault.Message.Should().Contain("cuda:0 did not make the copy");
        await TestTimeouts.UntilAsync(() => _server.Statistics is { LeasedBytes: 0, PendingBytes: 0 });
    }

    [Fact]
    public async Task MemoryOfAnotherPool_IsMisuse()
    {
        var act = () => _source.CopyAsync(CopyDirection.ToDevice, 4096, 1, new ExportedMemory(_servers.Uuid, new byte[64]), 0, CancellationToken.None);

        await act.Should().ThrowAsync<ArgumentException>().WithMessage("*rented from another pool*");
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _server.DisposeAsync();
    }

    private static async Task<PoolRequestRejectedException> Refused(Task copy) =>
        (await copy.Invoking(task => task.DefaultTimeout()).Should().ThrowAsync<PoolRequestRejectedException>()).Which;

    private static unsafe Span<byte> Span(IDeviceBuffer buffer) => new((void*)buffer.Address, checked((int)buffer.LengthBytes));
}
