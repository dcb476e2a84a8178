using LpLlm.Memory.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Devices;

/// <summary>How long clients' device memory stays open.</summary>
public sealed class DeviceImportsTests : IDisposable
{
    private readonly EngineHarness _engine = new();
    private readonly InstantDevice _device = new();
    private readonly DeviceImports _sut;

    public DeviceImportsTests() => _sut = new DeviceImports(_engine.Time, NullLogger.Instance);

    [Fact]
    public async Task AnImportAtRest_IsUsedAgainWithinASecond_AndClosedAfterIt()
    {
        var session = _engine.Open();
        var first = await UseAsync(session, 0);
        _sut.Release(first);
        _engine.Advance(900);

        var second = await UseAsync(session, 0);
        second.Should().BeSameAs(first);
        _engine.Advance(5000);
        _device.Open.Should().Be(1, "it is in use");

        _sut.Release(second);
        _engine.Advance(999);
        _device.Open.Should().Be(1);
        _engine.Advance(2);
        _device.Open.Should().Be(0);
        _sut.Count.Should().Be(0);
    }

    [Fact]
    public async Task TheEndOfASession_ClosesItsImportsAndNoOthers_ThoseInUseWhenTheirUseEnds()
    {
        var (ending, staying) = (_engine.Open(), _engine.Open());
        var used = await UseAsync(ending, 0);
        _sut.Release(await UseAsync(ending, 2));
        var others = await UseAsync(staying, 0);

        _engine.Engine.Close(ending);
        _device.Open.Should().Be(2, "the one at rest is closed");
        _sut.Release(used);
        _device.Open.Should().Be(1);
        _sut.Release(others);
        _sut.Dispose();
        _device.Open.Should().Be(0);
    }

    [Fact]
    public async Task ManyHandles_CloseTheOldestAtRest_AndAreRefusedWhenAllAreInUse()
    {
        var session = _engine.Open();
        var used = new List<DeviceImport>();
        for (var i = 0; i < DeviceImports.MaxPerSession; i++)
        {
            used.Add(await UseAsync(session, i));
        }

        var act = () => _sut.Use(session, _device, Handle(1000));
        act.Should().Throw<PoolFaultException>().Which.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        (await UseAsync(_engine.Open(), 1000)).Should().NotBeNull("another session is not concerned");

        _sut.Release(used[0]);
        await UseAsync(session, 1000);
        _device.Open.Should().Be(DeviceImports.MaxPerSession + 1);
    }

    [Fact]
    public async Task AHandleThatCouldNotBeOpened_IsTriedAgain()
    {
        var session = _engine.Open();
        var failed = _sut.Use(session, _device, new byte[] { 1 });
        await failed.Invoking(import => import.Opening.DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();
        _sut.Release(failed);

        _sut.Count.Should().Be(0);
    }

    public void Dispose() => _sut.Dispose();

    private static byte[] Handle(int number) => [0, .. BitConverter.GetBytes(number)];

    private async Task<DeviceImport> UseAsync(Engine.PoolSession session, int number)
    {
        var import = _sut.Use(session, _device, Handle(number));
        await import.Opening.DefaultTimeout();
        return import;
    }
}
