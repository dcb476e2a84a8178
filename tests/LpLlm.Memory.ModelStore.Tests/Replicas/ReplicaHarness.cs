using LpLlm.Memory.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Models;

/// <summary>A catalog over a disk of formulas, two simulated devices as server and client see them, and copies to those.</summary>
internal sealed class ReplicaHarness : IAsyncDisposable
{
    public const int KiB = 1 << 10;

    public ReplicaHarness(bool registrationRequired = false, IDeviceSet? devices = null, TimeProvider? time = null)
    {
        Catalog = new ModelCatalog(
            Catalogs.Settings("/models", readBytes: 64 * KiB, registrationRequired: registrationRequired), Memory, Disk, TimeProvider.System, NullLogger.Instance);
        Replicas = new ModelReplicas(Catalog, devices ?? new SimulatedDeviceSet(Server[0], Server[1]), time ?? TimeProvider.System, Logger);
    }

    public FakeDisk Disk { get; } = new();

    public NativeModelMemory Memory { get; } = new() { ExtentBytes = 96 * KiB };

    public SimulatedDevice[] Server { get; } = [new("cuda:0"), new("cuda:1")];

    public SimulatedDevice[] Client { get; } = [new("cuda:0"), new("cuda:1")];

    public CollectingLogger Logger { get; } = new();

    public ModelCatalog Catalog { get; }

    public ModelReplicas Replicas { get; }

    /// <summary>A request for one device.</summary>
    public ReplicaRequest Request(string model, string replica, IDeviceBuffer buffer, params ReplicaChunk[] chunks) =>
        Request(model, replica, (Client[0].Uuid, [buffer.Export()], chunks));

    public static ReplicaRequest Request(string model, string replica, params (string Uuid, byte[][] Handles, ReplicaChunk[] Chunks)[] devices) => new(
        model,
        replica,
        devices.ToDictionary(device => device.Uuid, device => (IReadOnlyList<ReplicaChunk>)device.Chunks),
        devices.ToDictionary(
            device => device.Uuid, device => (IReadOnlyList<ReadOnlyMemory<byte>>)device.Handles.Select(handle => new ReadOnlyMemory<byte>(handle)).ToList()));

    public Task StartAsync(ReplicaRequest request) => Replicas.StartAsync(request, CancellationToken.None).DefaultTimeout();

    public Task ConfirmAsync(string model, string replica) => Replicas.ConfirmAsync(model, replica, CancellationToken.None).DefaultTimeout();

    public static unsafe Span<byte> Bytes(IDeviceBuffer buffer) => new((void*)buffer.Address, checked((int)buffer.LengthBytes));

    /// <summary>Whether a part of a buffer holds a part of a model.</summary>
    public static bool Holds(IDeviceBuffer buffer, long offset, string model, long modelOffset, long length)
    {
        for (long i = 0; i < length; i++)
        {
            if (Bytes(buffer)[(int)(offset + i)] != FakeDisk.ByteAt(model, modelOffset + i))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Ends all, and checks that nothing is left.</summary>
    public async ValueTask DisposeAsync()
    {
        await Replicas.DisposeAsync();
        await Catalog.DisposeAsync();
        Memory.LiveCount.Should().Be(0, "every model was let go of");
        foreach (var device in Server)
        {
            device.ShouldBeClean();
        }
    }
}
