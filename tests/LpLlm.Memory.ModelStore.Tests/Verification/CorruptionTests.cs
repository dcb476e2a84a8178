namespace LpLlm.Memory.Models;

/// <summary>F5: every change of a byte and every cut of a small model, one by one.</summary>
public sealed class CorruptionTests : IDisposable
{
    private static readonly string[] Names = ["'first'", "'embed', 'view'", "'second'", "'scalar'"];

    private readonly TestFolder _folder = new(inMemory: true);
    private readonly ModelFolder _model;

    public CorruptionTests()
    {
        _model = new ModelFolder("m", Path.Combine(_folder.Root, "m"));
        var shared = Sources.Bytes(21);
        Sources.SaveAsync(
            _model,
            [
                Sources.Tensor("first", 13, 2),
                SourceTensor.RowMajor("embed", shared, [7], "torch.uint8"),
                Sources.Tensor("second", 16, 3),
                new SourceTensor("view", shared, [2, 2], [3, 2], "torch.int8", 5),
                SourceTensor.RowMajor("scalar", Sources.Bytes(4), [], "torch.float32"),
            ],
            partitionBytes: 40).Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();
    }

    private IReadOnlyList<string> DataFiles => [_model.PartitionPath(0), _model.PartitionPath(1)];

    [Fact]
    public void Verify_F5_EveryByteOfEveryFileChanged_IsFoundAndNamed()
    {
        PartitionSet.Find(_model).Partitions.Should().HaveCount(2);
        foreach (var file in Directory.GetFiles(_model.FullPath))
        {
            var sound = File.ReadAllBytes(file);
            for (var i = 0; i < sound.Length; i++)
            {
                foreach (var flip in new byte[] { 1, 0x20, 0xff })
                {
                    var changed = (byte[])sound.Clone();
                    changed[i] ^= flip;
                    File.WriteAllBytes(file, changed);

                    var findings = CheckpointVerifier.Verify(_model).Findings;

                    var isNamed = findings.Count == 1 && findings[0].Path == file && (DataFiles.Contains(file) ? IsNamed(findings[0], i) : IsRefused(file));
                    isNamed.Should().BeTrue($"byte {i} of {file} was changed by {flip:x2}, and found was: {string.Join("; ", findings)}");
                }
            }

            File.WriteAllBytes(file, sound);
        }

        CheckpointVerifier.Verify(_model).Findings.Should().BeEmpty();
    }

    [Fact]
    public void Verify_F1_EveryCutOfEveryFile_IsFoundAndNamed()
    {
        foreach (var file in Directory.GetFiles(_model.FullPath))
        {
            var sound = File.ReadAllBytes(file);
            for (var length = 0; length < sound.Length; length++)
            {
                File.WriteAllBytes(file, sound[..length]);

                CheckpointVerifier.Verify(_model).Findings.Should().Contain(finding => finding.Path == file, $"{file} was cut to {length} B");
                IsRefused(file).Should().BeTrue();
            }

            File.WriteAllBytes(file, [.. sound, 0]);
            CheckpointVerifier.Verify(_model).Findings.Should().Contain(finding => finding.Path == file, $"{file} has a byte more");
            File.WriteAllBytes(file, sound);
        }
    }

    [Fact]
    public void Verify_F1_ModelOfTheOriginalThatIsCutShort_IsFoundAndNamed()
    {
        File.Delete(_model.ChecksPath);
        CheckpointVerifier.Verify(_model).Findings.Should().BeEmpty();
        foreach (var file in DataFiles)
        {
            var sound = File.ReadAllBytes(file);
            for (var length = 0; length < sound.Length; length++)
            {
                File.WriteAllBytes(file, sound[..length]);

                CheckpointVerifier.Verify(_model).Findings.Should().NotBeEmpty($"{file} was cut to {length} B");
            }

            File.WriteAllBytes(file, sound);
        }
    }

    [Fact]
    public void Verify_EachFileDeleted_IsFoundAndNamed()
    {
        foreach (var file in Directory.GetFiles(_model.FullPath).Where(file => file != _model.ChecksPath && file != _model.PartitionPath(0)))
        {
            var sound = File.ReadAllBytes(file);
            File.Delete(file);

            CheckpointVerifier.Verify(_model).Findings.Should().Contain(finding => finding.Path == file && finding.Problem.Contains("does not exist"));

            File.WriteAllBytes(file, sound);
        }
    }

    [Theory]
    [InlineData("""{"a": [0, 16, [16], [1], "torch.uint8"], "b": [8, 16, [16], [1], "torch.uint8"]}""", "they overlap")]
    [InlineData("""{"a": [0, 8, [8], [1], "torch.uint8"], "b": [16, 8, [8], [1], "torch.uint8"]}""", "8 B belong to no tensor")]
    [InlineData("""{"a": [0, 8, [8], [1], "torch.uint8"], "b": [8, 8, [8], [1], "torch.uint8"]}""", "ends at byte 16")]
    public void Verify_OriginalsIndexThatDoesNotCoverTheData_IsFound(string index, string named)
    {
        var model = _folder.Model("o", ("tensor.data_0", new byte[24]), (ModelFolder.IndexName, System.Text.Encoding.ASCII.GetBytes(index)));

        CheckpointVerifier.Verify(model).Findings.Should().Contain(finding => finding.Problem.Contains(named));
    }

    [Fact]
    public void Verify_NoModel_IsNotFound() =>
        FluentActions.Invoking(() => CheckpointVerifier.Verify(new ModelFolder("x", Path.Combine(_folder.Root, "x"))))
            .Should().Throw<ModelStoreException>().Which.Fault.Should().Be(ModelStoreFault.NotFound);

    public void Dispose() => _folder.Dispose();

    private static bool IsNamed(Finding finding, int offset) =>
        offset >= finding.OffsetBytes
        && offset < finding.OffsetBytes + finding.LengthBytes
        && Names.Any(name => finding.Problem.Contains(name));

    private bool IsRefused(string file)
    {
        try
        {
            Checkpoint.Read(_model);
            return false;
        }
        catch (ModelStoreException e) when (e.Fault == ModelStoreFault.Damaged)
        {
            return e.Message.Contains(Path.GetFileName(file));
        }
    }
}
