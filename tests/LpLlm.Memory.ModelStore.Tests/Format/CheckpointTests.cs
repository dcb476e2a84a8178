namespace LpLlm.Memory.Models;

public class CheckpointTests
{
    [Fact]
    public void Read_ModelOfTheOriginal_IsReadWithoutChecks()
    {
        var checkpoint = Checkpoint.Read(KjvTiny.Folder);

        checkpoint.Checks.Should().BeNull();
        checkpoint.Data.LengthBytes.Should().Be(KjvTiny.DataBytes);
        checkpoint.Tensors[0].Name.Should().Be("model.embed_tokens.weight");
        checkpoint.Tensors.Should().OnlyContain(tensor => tensor.ElementType == "torch.bfloat16" && tensor.StorageOffset == 0);
        TensorIndex.Format(checkpoint.Tensors).Should().Equal(File.ReadAllBytes(KjvTiny.Folder.IndexPath));
    }

    [Fact]
    public void Read_TensorInTwoFiles_NamesTheFileThatIsCutShort()
    {
        using var folder = new TestFolder();
        var model = folder.Model(
            "m",
            ("tensor.data_0", new byte[8]),
            ("tensor.data_1", new byte[16]),
            (ModelFolder.IndexName, """{"a": [0, 16, [16], [1], "torch.uint8"], "b": [16, 8, [8], [1], "torch.uint8"]}"""u8.ToArray()));

        FluentActions.Invoking(() => Checkpoint.Read(model)).Should().Throw<ModelStoreException>()
            .WithMessage("*tensor.data_0: ends at byte 8, 8 B into tensor 'a' of 16 B*").Which.Fault.Should().Be(ModelStoreFault.Damaged);
    }
}
