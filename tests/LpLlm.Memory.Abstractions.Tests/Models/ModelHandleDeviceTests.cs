using System.Runtime.InteropServices;

namespace LpLlm.Memory.Models;

/// <summary>An open model's tensors in one buffer of a device.</summary>
public sealed class ModelHandleDeviceTests : IDisposable
{
    private const int Length = 4096;

    private readonly SimulatedDevice _device = new();
    private readonly Owner _owner = new();
    private readonly nint _data = Marshal.AllocHGlobal(Length);

    public unsafe ModelHandleDeviceTests() => new Random(3).NextBytes(new Span<byte>((void*)_data, Length));

    [Fact]
    public async Task F6_TiedTensors_LieOnEachDeviceOnce()
    {
        using var sut = Handle(Tensor("a", 0, 600), Tensor("b", 600, 8), Tensor("tied", 0, 600));
        var other = new SimulatedDevice("cuda:1");

        using var first = await sut.CopyToDeviceAsync(_device, ["b", "tied"]);
        using var second = await sut.CopyToDeviceAsync(other);

        second.Tensors["tied"].Address.Should().Be(second.Tensors["a"].Address);
        second.Buffer.LengthBytes.Should().Be(768 + 256, "600 B once, and 8 B, each up to 256");
        Shown(first.Tensors["tied"]).Should().Equal(Expected(0, 600));
        Shown(second.Tensors["tied"]).Should().Equal(Expected(0, 600));
        Shown(second.Tensors["b"]).Should().Equal(Expected(600, 8));
    }

    [Fact]
    public async Task F7_EveryStorage_Begins256ByteAligned_WhateverTheLengthsBeforeIt()
    {
        using var sut = Handle(Tensor("odd", 0, 3), Tensor("next", 8, 257), Tensor("empty", 272, 0), Tensor("last", 272, 1));

        using var copied = await sut.CopyToDeviceAsync(_device);

        copied.Tensors.Values.Select(tensor => (long)(tensor.Address - copied.Buffer.Address) % 256).Should().OnlyContain(rest => rest == 0);
        foreach (var tensor in copied.Tensors.Values)
        {
            Shown(tensor).Should().Equal(Expected(tensor.Info.OffsetBytes, tensor.Info.LengthBytes));
        }

        copied.Tensors.Values.Where(tensor => tensor.Info.LengthBytes > 0).Select(tensor => tensor.Address).Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public async Task F9_OneObjectOwnsAllTensors()
    {
        using var sut = Handle(Tensor("a", 0, 64), Tensor("b", 64, 64));

        var copied = await sut.CopyToDeviceAsync(_device);
        _device.LiveBuffers.Should().Be(1);
        copied.Dispose();
        copied.Dispose();

        _device.ShouldBeClean();
    }

    [Fact]
    public async Task TensorsAsCloseOnTheDeviceAsInTheModel_AreOneCopy()
    {
        using var sut = Handle(Tensor("a", 0, 256), Tensor("b", 256, 200), Tensor("c", 512, 8), Tensor("apart", 1024, 8), Tensor("inside", 300, 8));

        using var copied = await sut.CopyToDeviceAsync(_device);

        var copies = _device.Executed.Where(step => step.IsCopy).Select(copy => copy.LengthBytes);
        copies.Should().BeEquivalentTo([456, 8, 8, 8], "a and b follow each other; 'inside' lies in b, so that c comes later on the device than in the model");
        foreach (var tensor in copied.Tensors.Values)
        {
            Shown(tensor).Should().Equal(Expected(tensor.Info.OffsetBytes, tensor.Info.LengthBytes));
        }
    }

    [Fact]
    public async Task IntoABufferOfTheCallers_FillsItsFront_AndLeavesItToTheCaller()
    {
        using var sut = Handle(Tensor("a", 0, 600), Tensor("b", 600, 8));
        var length = sut.GetDeviceLengthBytes();
        using var buffer = _device.Allocate(length + 1);

        for (var i = 0; i < 2; i++)
        {
            using var copied = await sut.CopyToDeviceAsync(_device, buffer);
            Shown(copied.Tensors["b"]).Should().Equal(Expected(600, 8));
            copied.Tensors["a"].Address.Should().Be(buffer.Address);
        }

        length.Should().Be(768 + 256);
        sut.GetDeviceLengthBytes(["b"]).Should().Be(256);
        _device.LiveBuffers.Should().Be(1);
    }

    [Fact]
    public async Task IntoABufferThatIsTooShort_NamesBothLengths_AndCopiesNothing()
    {
        using var sut = Handle(Tensor("a", 0, 600));
        using var buffer = _device.Allocate(767);

        await sut.Awaiting(handle => handle.CopyToDeviceAsync(_device, buffer).AsTask()).Should().ThrowAsync<ArgumentException>().WithMessage("*767 B*768 B*");

        _device.Executed.Should().BeEmpty();
    }

    [Fact]
    public async Task IntoABufferOfTheCallers_ThatADeviceRefusesToFill_TheCallerStillHasIt()
    {
        _device.RefusedOperations.Add(1);
        using var sut = Handle(Tensor("a", 0, 64));
        using var buffer = _device.Allocate(256);

        await sut.Awaiting(handle => handle.CopyToDeviceAsync(_device, buffer).AsTask()).Should().ThrowAsync<PinnedMemoryException>();

        _device.LiveBuffers.Should().Be(1);
        using var copied = await sut.CopyToDeviceAsync(_device, buffer);
        Shown(copied.Tensors["a"]).Should().Equal(Expected(0, 64));
    }

    [Fact]
    public async Task AModelWithoutAByte_CanBeCopied()
    {
        using var sut = Handle(Tensor("empty", 0, 0));

        using var copied = await sut.CopyToDeviceAsync(_device);

        copied.Tensors.Should().ContainKey("empty");
    }

    [Fact]
    public async Task AnUnknownTensor_IsNamed_AndNothingIsAllocated()
    {
        using var sut = Handle(Tensor("a", 0, 64));

        await sut.Awaiting(handle => handle.CopyToDeviceAsync(_device, ["a", "z"]).AsTask()).Should().ThrowAsync<KeyNotFoundException>().WithMessage("*'z'*");

        _device.ShouldBeClean();
    }

    [Fact]
    public async Task DisposedWhileItIsCopied_TheModelStaysOpenUntilTheCopyHasEnded()
    {
        var gate = new TaskCompletionSource();
        _device.Running = _ => gate.Task;
        var sut = Handle(Tensor("a", 0, Length));
        var copying = sut.CopyToDeviceAsync(_device).AsTask();

        sut.Dispose();
        _owner.Disposals.Should().Be(0);
        gate.SetResult();
        using var copied = await copying.DefaultTimeout();

        _owner.Disposals.Should().Be(1);
        Shown(copied.Tensors["a"]).Should().Equal(Expected(0, Length));
        await sut.Awaiting(handle => handle.CopyToDeviceAsync(_device).AsTask()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task ADeviceThatRefuses_LeavesNothingBehind()
    {
        _device.RefusedOperations.Add(3);
        using var sut = Handle(Tensor("a", 0, 64), Tensor("b", 64, 64));

        await sut.Awaiting(handle => handle.CopyToDeviceAsync(_device).AsTask()).Should().ThrowAsync<PinnedMemoryException>();

        _device.ShouldBeClean();
    }

    [Fact]
    public async Task ADeviceThatRefusesTheCopyAndTheBuffersEnd_LetsGoOfTheModel()
    {
        _device.RefusedOperations.Add(1);
        _device.RefusedDisposals = 1;
        var sut = Handle(Tensor("a", 0, 64));

        await sut.Awaiting(handle => handle.CopyToDeviceAsync(_device).AsTask()).Should().ThrowAsync<PinnedMemoryException>();
        sut.Dispose();

        _owner.Disposals.Should().Be(1);
    }

    [Fact]
    public async Task ADeviceThatIsLost_KeepsTheModelAndTheBuffer_ForItMayStillCopy()
    {
        var gate = new TaskCompletionSource();
        _device.Running = _ => gate.Task;
        var sut = Handle(Tensor("a", 0, 64));
        var copying = sut.CopyToDeviceAsync(_device).AsTask();

        _device.Lose();
        (await copying.Invoking(task => task.DefaultTimeout()).Should().ThrowAsync<ModelStoreException>()).Which.Fault.Should().Be(ModelStoreFault.DeviceFailed);
        sut.Dispose();

        _owner.Disposals.Should().Be(0);
        _device.LiveBuffers.Should().Be(1);
    }

    public void Dispose() => Marshal.FreeHGlobal(_data);

    private static TensorInfo Tensor(string name, long offset, long length) => new(name, offset, length, [length], [1], "torch.uint8");

    private static unsafe byte[] Shown(DeviceTensor tensor) => new ReadOnlySpan<byte>((void*)tensor.Address, (int)tensor.Info.LengthBytes).ToArray();

    private unsafe byte[] Expected(long offset, long length) => new ReadOnlySpan<byte>((void*)(_data + (nint)offset), (int)length).ToArray();

    private ModelHandle Handle(params TensorInfo[] tensors) => new("m", _data, Length, PoolCapabilities.None, tensors, _owner);

    private sealed class Owner : IDisposable
    {
        public int Disposals { get; private set; }

        public void Dispose() => Disposals++;
    }
}
