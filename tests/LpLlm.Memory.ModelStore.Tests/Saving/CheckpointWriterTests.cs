using System.Text;

namespace LpLlm.Memory.Models;

public sealed class CheckpointWriterTests : IDisposable
{
    private const int BufferBytes = 8 << 20;

    private readonly TestFolder _folder = new();

    private ModelFolder Model => new("m", Path.Combine(_folder.Root, "m"));

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)] // the original writes an empty file
    [InlineData(4104)]
    [InlineData(4096)]
    [InlineData(BufferBytes - 8)]
    [InlineData(BufferBytes)]
    [InlineData(BufferBytes + 1)]
    [InlineData((2 * BufferBytes) + 2048)] // as the 316,299,264 B of ServerlessLLM#186: a multiple of 512, not of 4096
    public async Task Write_F1_AnyLength_KeepsItsTail(int lengthBytes)
    {
        var tensor = Sources.Tensor("w", lengthBytes);

        await Sources.SaveAsync(Model, [tensor]);

        var saved = File.ReadAllBytes(Model.PartitionPath(0));
        saved.Length.Should().Be((lengthBytes + 7) & -8);
        saved.AsSpan(0, lengthBytes).SequenceEqual(Sources.Read(tensor.Storage)).Should().BeTrue();
        saved.AsSpan(lengthBytes).ToArray().Should().NotContain(value => value != 0, "F5: padding is not leaked memory");
    }

    [Fact]
    public async Task Write_F3_ViewsOfOneStorage_KeepTheirOffsetsAndStoreItOnce()
    {
        var storage = Sources.Bytes(80);
        var view = new SourceTensor("view", storage, [2, 3], [8, 2], "torch.float16", 9);
        var column = new SourceTensor("column", storage, [4], [10], "torch.float16", 3);

        await Sources.SaveAsync(Model, [view, column]);

        var checkpoint = Checkpoint.Read(Model);
        checkpoint.Data.LengthBytes.Should().Be(80);
        checkpoint.Tensors.Select(tensor => (tensor.Name, tensor.OffsetBytes, tensor.LengthBytes, tensor.StorageOffset))
            .Should().Equal(("view", 0, 80, 9), ("column", 0, 80, 3));
        Encoding.ASCII.GetString(File.ReadAllBytes(Model.IndexPath)).Should()
            .Be("""{"view": [0, 80, [2, 3], [8, 2], "torch.float16"], "column": [0, 80, [4], [10], "torch.float16"]}""", "the original's reader knows nothing else");
    }

    [Fact]
    public async Task Write_F4_FilesThatAreSmallerThanAnyChunk_AreAddressedAsOne()
    {
        var tensors = Enumerable.Range(0, 40).Select(i => Sources.Tensor($"w{i}", (i % 5) + 1, i)).ToList();

        await Sources.SaveAsync(Model, tensors, partitionBytes: 8);

        var checkpoint = Checkpoint.Read(Model);
        checkpoint.Data.Partitions.Should().HaveCount(40).And.OnlyContain(partition => partition.LengthBytes == 8);
        checkpoint.Tensors.Select(tensor => Sources.Read(checkpoint, tensor)).Should().BeEquivalentTo(
            tensors.Select(tensor => Sources.Read(tensor.Storage)), options => options.WithStrictOrdering());
    }

    [Fact]
    public async Task Write_F5_FileOfChecks_HasVersionAndSums()
    {
        await Sources.SaveAsync(Model, [Sources.Tensor("w", 13)]);

        File.ReadAllText(Model.ChecksPath).Should().StartWith("{\"version\": 1, \"files\": [16], \"index\": [");
        var checks = CheckFileReader.TryRead(Model)!;
        checks.Records.Should().Equal(new RecordCheck(0, 13, Crc32C.Of(Sources.Read(Sources.Bytes(13)))));
        checks.IndexChecksum.Should().Be(Crc32C.Of(File.ReadAllBytes(Model.IndexPath)));
    }

    [Fact]
    public async Task Write_F8_EveryElementType_ComesBack()
    {
        var tensors = ElementType.All.Select((type, i) => SourceTensor.RowMajor(type.Torch, Sources.Bytes(3 * type.SizeBytes, i), [3], type.Torch)).ToList();

        await Sources.SaveAsync(Model, tensors);

        Checkpoint.Read(Model).Tensors.Select(tensor => tensor.ElementType).Should().Equal(ElementType.All.Select(type => type.Torch));
    }

    [Fact]
    public async Task Write_ExistingModel_IsReplacedAsAWhole()
    {
        await Sources.SaveAsync(Model, [Sources.Tensor("old", 100), Sources.Tensor("more", 100)], partitionBytes: 100);

        await Sources.SaveAsync(Model, [Sources.Tensor("new", 8)]);

        Checkpoint.Read(Model).Tensors.Single().Name.Should().Be("new");
        File.Exists(Model.PartitionPath(1)).Should().BeFalse();
        Directory.GetFileSystemEntries(_folder.Root).Should().Equal(Model.FullPath);
    }

    [Fact]
    public async Task Write_Progress_EndsAtAllBytes()
    {
        var reports = new List<SaveProgress>();
        var plan = CheckpointPlan.Of([Sources.Tensor("a", BufferBytes + 3), Sources.Tensor("b", 5)], partitionBytes: BufferBytes);

        await CheckpointWriter.WriteAsync(Model, plan, [], new Collected(reports)).WaitAsync(TimeSpan.FromSeconds(30));

        reports.Select(report => report.DoneBytes).Should().BeInAscendingOrder();
        reports[^1].Should().Be(new SaveProgress(plan.DataBytes, plan.DataBytes));
    }

    public void Dispose() => _folder.Dispose();

    private sealed class Collected(List<SaveProgress> reports) : IProgress<SaveProgress>
    {
        public void Report(SaveProgress value) => reports.Add(value);
    }
}
