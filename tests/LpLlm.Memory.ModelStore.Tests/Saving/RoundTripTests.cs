using FsCheck;
using FsCheck.Fluent;

namespace LpLlm.Memory.Models;

public class RoundTripTests
{
    [Fact]
    public void WriteThenRead_AnyCheckpoint_ComesBackExactly() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(150), Prop.ForAll(Arb.From(Gen.Choose(0, int.MaxValue)), seed =>
        {
            using var folder = new TestFolder(inMemory: true);
            var model = new ModelFolder("m", Path.Combine(folder.Root, "m"));
            var wanted = new RandomCheckpoint(seed);

            CheckpointWriter.WriteAsync(model, CheckpointPlan.Of(wanted.Tensors, wanted.PartitionBytes), []).Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();

            CheckpointVerifier.Verify(model).Findings.Should().BeEmpty();
            var checkpoint = Checkpoint.Read(model);
            checkpoint.Tensors.Should().HaveSameCount(wanted.Tensors);
            foreach (var (tensor, source) in checkpoint.Tensors.Zip(wanted.Tensors))
            {
                (tensor.Name, tensor.ElementType, tensor.StorageOffset).Should().Be((source.Name, source.ElementType, source.StorageOffset));
                tensor.Shape.Should().Equal(source.Shape);
                tensor.Strides.Should().Equal(source.Strides);
                Sources.Read(checkpoint, tensor).Should().Equal(Sources.Read(source.Storage));
            }

            var distinct = wanted.Tensors.Select(tensor => tensor.Storage).Distinct().Sum(storage => RecordCheck.Pad(storage.LengthBytes));
            checkpoint.Data.LengthBytes.Should().Be(distinct, "what is shared is stored once");
        }));
}
