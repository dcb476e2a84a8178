using System.Text;

namespace LpLlm.Memory.Models;

public sealed class SafetensorsConversionTests : IDisposable
{
    private const string MapName = "model.safetensors.index.json";

    private readonly TestFolder _folder = new();

    private ModelFolder Target => new("m", Path.Combine(_folder.Root, "m"));

    /// <summary>The file that transformers writes is sorted by name; the original saves in the order of the model's state.</summary>
    [Fact]
    public async Task Save_KjvTinySortedByName_EqualsTheReferenceByteForByte()
    {
        var reference = Checkpoint.Read(KjvTiny.Folder);
        var source = _folder.Model(
            "source",
            ("config.json", File.ReadAllBytes(KjvTiny.Folder.PathOf("config.json"))),
            ("model.safetensors", SafetensorsBuilder.File(reference.Tensors
                .OrderBy(tensor => tensor.Name, StringComparer.Ordinal)
                .Select(tensor => (tensor.Name, "BF16", tensor.Shape.ToArray(), Sources.Read(reference, tensor))))));

        await SaveAsync(source);

        CheckEqualsKjvTiny();
    }

    [SkippableFact]
    public async Task Save_KjvTinyOfTheReference_EqualsTheReferenceByteForByte()
    {
        var source = Path.Combine(KjvTiny.Root(), "..", "shared", "models", "kjv-tiny");
        Skip.IfNot(File.Exists(Path.Combine(source, "model.safetensors")), $"{source} is not there; the repository has no copy of its safetensors file");

        await SaveAsync(new ModelFolder("m", source));

        CheckEqualsKjvTiny();
        File.ReadAllBytes(Target.PathOf("config.json")).Should().Equal(File.ReadAllBytes(Path.Combine(source, "config.json")));
    }

    [Fact]
    public async Task Save_F8_EveryTypeOfSafetensors_KeepsItsBytes()
    {
        var types = ElementType.All.Where(type => type.Safetensors is not null).ToList();
        var source = _folder.Model("source", ("model.safetensors", SafetensorsBuilder.File(types.Select((type, i) =>
            ($"t{i}", type.Safetensors!, new long[] { 3, 1 }, Sources.Read(Sources.Bytes(3 * type.SizeBytes, i)))))));

        await SaveAsync(source);

        var saved = Checkpoint.Read(Target);
        saved.Tensors.Select(tensor => (tensor.Name, tensor.ElementType)).Should().Equal(types.Select((type, i) => ($"t{i}", type.Torch)));
        saved.Tensors.Select((tensor, i) => Sources.Read(saved, tensor).SequenceEqual(Sources.Read(Sources.Bytes(3 * types[i].SizeBytes, i)))).Should().NotContain(false);
    }

    [Fact]
    public async Task Save_ScalarsAndEmptyTensors_AreKept()
    {
        var source = _folder.Model("source", ("model.safetensors", SafetensorsBuilder.File(
            [("scale", "F32", [], [1, 2, 3, 4]), ("none", "F16", [0, 5], []), ("also none", "I8", [2, 0], [])])));

        await SaveAsync(source);

        Checkpoint.Read(Target).Tensors.Select(tensor => (tensor.Name, tensor.LengthBytes, string.Join(',', tensor.Shape), string.Join(',', tensor.Strides)))
            .Should().Equal(("scale", 4, "", ""), ("none", 0, "0,5", "5,1"), ("also none", 0, "2,0", "1,1"));
    }

    [Fact]
    public async Task Save_ShardedModel_IsSavedInTheOrderOfItsState()
    {
        var source = Sharded("""{"lm_head.weight": "b.safetensors", "model.layers.10.w": "a.safetensors", "model.layers.2.w": "b.safetensors"}""");

        await SaveAsync(source);

        var saved = Checkpoint.Read(Target);
        saved.Tensors.Select(tensor => tensor.Name).Should().Equal("model.layers.2.w", "model.layers.10.w", "lm_head.weight");
        saved.Tensors.Select(tensor => Sources.Read(saved, tensor)[0]).Should().Equal(2, 10, 1);
        File.Exists(Target.PathOf(MapName)).Should().BeFalse("it names files that are not there");
    }

    [Theory]
    [InlineData("""{"lm_head.weight": "b.safetensors", "model.layers.10.w": "a.safetensors"}""", "'model.layers.2.w' is in b.safetensors, but not in the map")]
    [InlineData("""{"lm_head.weight": "a.safetensors", "model.layers.10.w": "a.safetensors", "model.layers.2.w": "b.safetensors"}""", "'lm_head.weight' is said to be in a.safetensors")]
    [InlineData("""{"lm_head.weight": "c.safetensors"}""", "c.safetensors: does not exist")]
    [InlineData("""{"lm_head.weight": "../b.safetensors"}""", "'../b.safetensors'")]
    [InlineData("""{"lm_head.weight": 5}""", "no weight_map")]
    [InlineData("""5""", "no weight_map")]
    [InlineData("""{"a": "b.safetensors", "a": "b.safetensors"}""", "'a' is there twice")]
    public async Task Save_MapThatDoesNotFit_IsRefused(string map, string named)
    {
        var save = () => SaveAsync(Sharded(map));

        (await save.Should().ThrowAsync<ModelStoreException>()).Which.Message.Should().Contain(named);
    }

    [Theory]
    [InlineData("""{"tie_word_embeddings": true}""", "{}", true)]
    [InlineData("""{"tie_word_embeddings": false}""", "{}", false)]
    [InlineData("""{}""", "{}", false)]
    [InlineData("""{}""", """{"lm_head.weight":"model.embed_tokens.weight"}""", true)]
    public async Task Save_TiedHeadThatTheFileLeavesOut_IsNamedAgain(string config, string metadata, bool isTied)
    {
        var source = _folder.Model(
            "source",
            ("config.json", Encoding.UTF8.GetBytes(config)),
            ("model.safetensors", SafetensorsBuilder.File([("model.embed_tokens.weight", "F16", [2, 2], new byte[8]), ("model.norm.weight", "F16", [2], new byte[4])], metadata)));

        await SaveAsync(source);

        var tensors = Checkpoint.Read(Target).Tensors;
        tensors.Select(tensor => tensor.Name).Should().Equal(
            isTied ? ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"] : ["model.embed_tokens.weight", "model.norm.weight"]);
        tensors[^1].OffsetBytes.Should().Be(isTied ? 0 : 8);
        File.ReadAllText(Target.PathOf("no_split_modules.json")).Should().Be(
            isTied ? """{"model.embed_tokens": 8, "model.norm": 4, "lm_head": 8}""" : """{"model.embed_tokens": 8, "model.norm": 4}""");
        File.ReadAllText(Target.PathOf("tied_no_split_modules.json")).Should().Be(isTied ? """[[["model.embed_tokens", "lm_head"], 8]]""" : "[]");
    }

    /// <summary>The original's test_save_model and test_save_lora: the files that must be there, and those that must not.</summary>
    [Fact]
    public async Task Save_FolderOfAModel_CopiesWhatIsNotWeights()
    {
        var source = _folder.Model(
            "source",
            ("adapter_model.safetensors", SafetensorsBuilder.File([("model.layers.0.a", "F16", [2], new byte[4]), ("model.layers.0.b", "F16", [2], new byte[4])])),
            ("config.json", "{}"u8.ToArray()),
            ("generation_config.json", "{}"u8.ToArray()),
            ("tokenizer.model", [1]),
            ("merges.txt", [2]),
            ("chat_template.jinja", [3]),
            ("pytorch_model.bin", [4]),
            ("pytorch_model.bin.index.json", [5]),
            ("README.md", [6]),
            (".gitattributes.txt", [7]));

        await SaveAsync(source);

        Directory.GetFiles(Target.FullPath).Select(Path.GetFileName).Should().BeEquivalentTo(
            "config.json", "generation_config.json", "tokenizer.model", "merges.txt", "chat_template.jinja",
            "no_split_modules.json", "tied_no_split_modules.json", "tensor.data_0", "tensor_index.json", "tensor_checks.json");
        File.ReadAllText(Target.PathOf("no_split_modules.json")).Should().Be("""{"model.layers.0": 8}""");
    }

    [Fact]
    public async Task Save_SourceThatWouldBeReplaced_IsRefused()
    {
        var source = _folder.Model("m", ("model.safetensors", SafetensorsBuilder.File([("w", "U8", [1], [1])])), ("tensor.data_0", [1]));

        var save = () => SaveAsync(source);

        await save.Should().ThrowAsync<ModelStoreException>().WithMessage("*holds its source*");
        File.Exists(source.PathOf("model.safetensors")).Should().BeTrue();
    }

    [Theory]
    [InlineData()]
    [InlineData("a.safetensors", "b.safetensors")]
    public async Task Save_NoSingleFile_IsRefused(params string[] files)
    {
        var source = _folder.Model("source", [.. files.Select(file => (file, new byte[8]))]);

        var save = () => SaveAsync(source);

        await save.Should().ThrowAsync<ModelStoreException>().WithMessage($"*has {files.Length} safetensors files*");
    }

    public void Dispose() => _folder.Dispose();

    private Task<CheckpointPlan> SaveAsync(ModelFolder source) => SafetensorsConversion.SaveAsync(source.FullPath, Target).WaitAsync(TimeSpan.FromSeconds(30));

    private ModelFolder Sharded(string map) => _folder.Model(
        "source",
        ("a.safetensors", SafetensorsBuilder.File([("model.layers.10.w", "U8", [1], [10])])),
        ("b.safetensors", SafetensorsBuilder.File([("lm_head.weight", "U8", [1], [1]), ("model.layers.2.w", "U8", [1], [2])])),
        (MapName, Encoding.UTF8.GetBytes($$"""{"metadata": {}, "weight_map": {{map}}}""")));

    private void CheckEqualsKjvTiny()
    {
        File.ReadAllBytes(Target.PartitionPath(0)).AsSpan().SequenceEqual(File.ReadAllBytes(KjvTiny.Folder.PartitionPath(0))).Should().BeTrue();
        File.ReadAllText(Target.IndexPath).Should().Be(File.ReadAllText(KjvTiny.Folder.IndexPath));
        File.Exists(Target.PartitionPath(1)).Should().BeFalse();
        CheckpointVerifier.Verify(Target).Findings.Should().BeEmpty();
    }
}
