namespace LpLlm.Memory.Models;

public class CheckpointPlanTests
{
    [Fact]
    public void Of_OddLengths_ArePaddedToEight()
    {
        var plan = CheckpointPlan.Of([Sources.Tensor("a", 3), Sources.Tensor("b", 8), Sources.Tensor("c", 9)]);

        plan.Tensors.Select(tensor => tensor.OffsetBytes).Should().Equal(0, 8, 16);
        plan.FileBytes.Should().Equal(32);
    }

    [Fact]
    public void Of_TiedTensors_AreStoredOnce()
    {
        var shared = Sources.Bytes(24);

        var plan = CheckpointPlan.Of(
        [
            SourceTensor.RowMajor("a", shared, [6], "torch.float32"),
            Sources.Tensor("b", 8),
            SourceTensor.RowMajor("c", shared, [2, 3], "torch.float32"),
        ]);

        plan.Tensors.Select(tensor => tensor.OffsetBytes).Should().Equal(0, 24, 0);
        plan.DataBytes.Should().Be(32);
    }

    [Theory]
    [InlineData(32, new long[] { 32, 16 })]
    [InlineData(31, new long[] { 16, 32 })] // 16 + 16 > 31
    [InlineData(48, new long[] { 48 })]
    [InlineData(47, new long[] { 32, 16 })]
    [InlineData(8, new long[] { 16, 16, 16 })] // each is larger than a file may be, and has its own
    public void Of_FileThatWouldGrowBeyondTheLimit_IsFollowedByAnother(long limit, long[] expected)
    {
        var plan = CheckpointPlan.Of([Sources.Tensor("a", 16), Sources.Tensor("b", 16), Sources.Tensor("c", 16)], limit);

        plan.FileBytes.Should().Equal(limit == 31 ? [16, 16, 16] : expected);
        plan.Tensors.Select(tensor => tensor.OffsetBytes).Should().Equal(0, 16, 32);
    }

    [Fact]
    public void Of_TensorsWithoutBytes_ShareThePlaceOfTheFirst()
    {
        var plan = CheckpointPlan.Of([Sources.Tensor("a", 8), Sources.Tensor("none", 0), Sources.Tensor("b", 8), Sources.Tensor("nothing", 0)]);

        plan.Tensors.Select(tensor => (tensor.OffsetBytes, tensor.LengthBytes)).Should().Equal((0, 8), (8, 0), (8, 8), (8, 0));
        plan.DataBytes.Should().Be(16);
    }

    [Theory]
    [InlineData("torch.float4", new long[] { 2 }, new long[] { 1 }, 0, "'torch.float4'")]
    [InlineData("torch.float32", new long[] { 3 }, new long[] { 1 }, 0, "byte 12 of its storage, which has 8 B")]
    [InlineData("torch.float32", new long[] { 2 }, new long[] { 1 }, 1, "byte 12 of its storage")]
    [InlineData("torch.float32", new long[] { -1 }, new long[] { 1 }, 0, "[-1]")]
    [InlineData("torch.float32", new long[] { 1 }, new long[] { 1, 1 }, 0, "[1, 1]")]
    [InlineData("torch.float32", new long[] { 1 }, new long[] { 1 }, -1, "-1")]
    public void Of_TensorThatCannotBe_IsRefusedByName(string type, long[] shape, long[] strides, long offset, string named) =>
        FluentActions.Invoking(() => CheckpointPlan.Of([new SourceTensor("w", Sources.Bytes(8), shape, strides, type, offset)]))
            .Should().Throw<ArgumentException>().WithMessage("*'w'*").Which.Message.Should().Contain(named);

    [Fact]
    public void Of_NameThatIsThereTwice_IsRefused() =>
        FluentActions.Invoking(() => CheckpointPlan.Of([Sources.Tensor("w", 8), Sources.Tensor("w", 8)])).Should().Throw<ArgumentException>().WithMessage("*'w'*twice*");

    [Fact]
    public void Of_NoBytesAtAll_IsRefused() =>
        FluentActions.Invoking(() => CheckpointPlan.Of([Sources.Tensor("w", 0)])).Should().Throw<ArgumentException>().WithMessage("*0 B*");
}
