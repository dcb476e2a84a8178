namespace LpLlm.Memory.Tests.Models;

public sealed class ModelHandleTests : IDisposable
{
    private const int LengthBytes = 4096;
    private readonly FakePool _pool = new();
    private readonly PinnedLease _lease;
    private readonly Owner _owner = new();

    public ModelHandleTests()
    {
        _lease = _pool.Rent(LengthBytes);
        var values = _lease.AsSpan<ushort>();
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (ushort)i;
        }
    }

    public void Dispose() => _lease.Dispose();

    [Fact]
    public void GetTensor_RowMajor_IsTheMemoryItself()
    {
        using var model = Open(new TensorInfo("w", 64, 24, [3, 4], [4, 1], "torch.int16"));

        var tensor = model.GetTensor<short>("w");

        tensor.Lengths.ToArray().Should().Equal(3, 4);
        tensor[2, 3].Should().Be(32 + 11);
        _lease.AsSpan<ushort>()[32 + 11] = 7;
        tensor[2, 3].Should().Be(7, "nothing is copied");
    }

    [Fact]
    public void GetTensor_Transposed_FollowsTheStrides()
    {
        using var model = Open(new TensorInfo("w", 0, 24, [4, 3], [1, 4], "torch.float16"));

        model.GetTensor<ushort>("w")[3, 2].Should().Be(11);
    }

    [Fact]
    public void F3_GetTensor_ViewWithAnOffset_BeginsThere()
    {
        using var model = Open(new TensorInfo("w", 64, 200, [2, 3], [10, 2], "torch.bfloat16", StorageOffset: 5));

        var tensor = model.GetTensor<BFloat16>("w");

        tensor[0, 0].Bits.Should().Be(32 + 5);
        tensor[1, 2].Bits.Should().Be(32 + 5 + 10 + 4);
    }

    [Fact]
    public void GetTensor_DimensionsOfLengthOne_MayHaveAnyStride()
    {
        using var model = Open(new TensorInfo("w", 0, 10, [1, 5, 1], [77, 1, 3], "torch.int16"));

        model.GetTensor<short>("w")[0, 4, 0].Should().Be(4);
    }

    [Fact]
    public void GetTensor_Scalar_IsOneElement()
    {
        using var model = Open(new TensorInfo("s", 6, 2, [], [], "torch.int16"));

        var tensor = model.GetTensor<short>("s");

        tensor.FlattenedLength.Should().Be(1);
        tensor[0].Should().Be(3);
    }

    [Fact]
    public void GetTensor_Empty_HasNoElements()
    {
        using var model = Open(new TensorInfo("e", LengthBytes, 0, [2, 0, 3], [3, 3, 1], "torch.int16"));

        var tensor = model.GetTensor<short>("e");

        tensor.Lengths.ToArray().Should().Equal(2, 0, 3);
        tensor.FlattenedLength.Should().Be(0);
    }

    [Fact]
    public void GetTensor_Expanded_RepeatsTheRow()
    {
        using var model = Open(new TensorInfo("w", 0, 6, [4, 3], [0, 1], "torch.int16"));

        model.GetTensor<short>("w")[3, 2].Should().Be(2);
    }

    [Fact]
    public void GetTensor_TypeOfAnotherSize_NamesBoth()
    {
        using var model = Open(new TensorInfo("w", 0, 8, [2], [1], "torch.float32"));

        var get = () => model.GetTensor<Half>("w").FlattenedLength;

        get.Should().Throw<ArgumentException>().WithMessage("*'w'*torch.float32 (4 B)*Half has 2 B*");
    }

    [Fact]
    public void GetTensor_TypeThatIsNotKnown_PointsToTheBytes()
    {
        using var model = Open(new TensorInfo("w", 0, 8, [2], [1], "torch.quint4x2"));

        var get = () => model.GetTensor<byte>("w").FlattenedLength;

        get.Should().Throw<ArgumentException>().WithMessage("*torch.quint4x2*GetBytes*");
        model.GetBytes("w").FlattenedLength.Should().Be(8);
    }

    [Fact]
    public void GetTensor_OverlappingElements_PointsToTheBytes()
    {
        using var model = Open(new TensorInfo("w", 0, 16, [3, 4], [2, 1], "torch.int16"));

        var get = () => model.GetTensor<short>("w").FlattenedLength;

        get.Should().Throw<NotSupportedException>().WithMessage("*'w'*[2, 1]*[3, 4]*overlap*GetBytes*");
    }

    [Fact]
    public void GetTensor_OneElementMoreThanTheStorage_IsRefused()
    {
        using var model = Open(
            new TensorInfo("end", 0, 12, [3, 2], [2, 1], "torch.int16", StorageOffset: 1),
            new TensorInfo("huge", 0, 12, [long.MaxValue, 2], [long.MaxValue, 1], "torch.int16"),
            new TensorInfo("strides", 0, 12, [3, 2], [1], "torch.int16"));

        foreach (var name in model.Tensors.Keys)
        {
            var get = () => model.GetTensor<short>(name).FlattenedLength;
            get.Should().Throw<InvalidOperationException>().WithMessage($"*'{name}'*index is damaged*");
        }
    }

    [Fact]
    public void GetTensor_UnknownName_SaysSo()
    {
        using var model = Open(new TensorInfo("w", 0, 2, [1], [1], "torch.int16"));

        var get = () => model.GetTensor<short>("x").FlattenedLength;

        get.Should().Throw<KeyNotFoundException>().WithMessage("*'m'*'x'*");
    }

    [Fact]
    public void GetBytes_IsTheStorage()
    {
        using var model = Open(new TensorInfo("w", 2, 5, [2], [1], "torch.int16"));

        var bytes = model.GetBytes("w");

        bytes.FlattenedLength.Should().Be(5);
        bytes[0].Should().Be(1);
        bytes[2].Should().Be(2);
    }

    [Fact]
    public void Create_TensorBeyondTheData_IsRefused()
    {
        var open = () => Open(new TensorInfo("w", LengthBytes - 2, 4, [2], [1], "torch.int16"));

        open.Should().Throw<ArgumentException>().WithMessage("*'w'*4 B from byte 4094*4096 B*");
    }

    [Fact]
    public void Dispose_Twice_ClosesOnceAndRefusesWhatReadsMemory()
    {
        var model = Open(new TensorInfo("w", 0, 2, [1], [1], "torch.int16"));
        model.Dispose();
        model.Dispose();

        var get = () => model.GetTensor<short>("w").FlattenedLength;

        _owner.CloseCount.Should().Be(1);
        get.Should().Throw<ObjectDisposedException>();
        model.Tensors.Should().ContainKey("w", "descriptions stay readable");
    }

    private ModelHandle Open(params TensorInfo[] tensors) => new(
        "m", _lease.Address, LengthBytes, PoolCapabilities.None, tensors, _owner);

    private sealed class Owner : IDisposable
    {
        public int CloseCount { get; private set; }

        public void Dispose() => CloseCount++;
    }
}
