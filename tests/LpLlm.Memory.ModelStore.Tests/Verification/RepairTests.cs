namespace LpLlm.Memory.Models;

public sealed class RepairTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly ModelFolder _model;

    public RepairTests() => _model = new ModelFolder("m", Path.Combine(_folder.Root, "m"));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Repair_LostIndex_IsRestoredByteForByte(bool isDeleted)
    {
        await SaveAsync();
        var sound = File.ReadAllBytes(_model.IndexPath);
        if (isDeleted)
        {
            File.Delete(_model.IndexPath);
        }
        else
        {
            File.WriteAllBytes(_model.IndexPath, sound[..20]);
        }

        Repair().Should().ContainSingle().Which.Should().Contain("restored");

        File.ReadAllBytes(_model.IndexPath).Should().Equal(sound);
        CheckpointVerifier.Verify(_model).Findings.Should().BeEmpty();
    }

    [Fact]
    public async Task Repair_ChangedPadding_IsZeroAgain()
    {
        await SaveAsync();
        Change(_model.PartitionPath(0), 14);

        Repair().Should().ContainSingle().Which.Should().Contain("byte 14");

        CheckpointVerifier.Verify(_model).Findings.Should().BeEmpty();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Repair_LostChecks_AreWrittenAnewAndSaidSo(bool isDeleted)
    {
        await SaveAsync();
        var sound = File.ReadAllBytes(_model.ChecksPath);
        if (isDeleted)
        {
            File.Delete(_model.ChecksPath);
        }
        else
        {
            Change(_model.ChecksPath, 30);
        }

        Repair().Should().ContainSingle().Which.Should().Contain("as they are now");

        File.ReadAllBytes(_model.ChecksPath).Should().Equal(sound);
    }

    [Fact]
    public void Repair_ModelOfTheOriginal_GetsChecksAndZeroPadding()
    {
        var data = Sources.Read(Sources.Bytes(24));
        var model = _folder.Model(
            "o",
            ("tensor.data_0", data),
            (ModelFolder.IndexName, """{"a": [0, 13, [13], [1], "torch.uint8"], "b": [16, 8, [4], [1], "torch.int16"]}"""u8.ToArray()));

        CheckpointRepair.Run(model, CheckpointVerifier.Verify(model)).Should().ContainSingle();

        var report = CheckpointVerifier.Verify(model);
        report.Should().BeEquivalentTo(new { HasChecks = true, CheckedBytes = 21L, TensorCount = 2 });
        report.Findings.Should().BeEmpty();
        data.AsSpan(13, 3).Clear();
        File.ReadAllBytes(model.PartitionPath(0)).Should().Equal(data);
    }

    [Fact]
    public async Task Repair_F3_LostChecksOfAView_AreNotGuessed()
    {
        await Sources.SaveAsync(_model, [new SourceTensor("view", Sources.Bytes(16), [4], [1], "torch.uint8", 3)]);
        File.Delete(_model.ChecksPath);

        Repair().Should().ContainSingle().Which.Should().Contain("not written").And.Contain("'view'");

        File.Exists(_model.ChecksPath).Should().BeFalse();
    }

    [Fact]
    public async Task Repair_ChangedTensor_StaysDamagedAndNamed()
    {
        await SaveAsync();
        Change(_model.PartitionPath(0), 3);
        var changed = File.ReadAllBytes(_model.PartitionPath(0));

        Repair().Should().BeEmpty();

        File.ReadAllBytes(_model.PartitionPath(0)).Should().Equal(changed);
        CheckpointVerifier.Verify(_model).Findings.Should().ContainSingle().Which.Problem.Should().Contain("'a'");
    }

    [Fact]
    public async Task Repair_F1_LostTail_IsNamedAndNotGuessed()
    {
        await SaveAsync();
        File.Delete(_model.ChecksPath);
        File.WriteAllBytes(_model.PartitionPath(0), []);

        Repair().Should().ContainSingle().Which.Should().Contain("not written");

        new FileInfo(_model.PartitionPath(0)).Length.Should().Be(0);
        CheckpointVerifier.Verify(_model).Findings.Should().NotBeEmpty();
    }

    [Fact]
    public async Task Repair_LostChecksAndLostIndex_AreLeftAlone()
    {
        await SaveAsync();
        File.Delete(_model.IndexPath);
        Change(_model.ChecksPath, 5);

        Repair().Should().ContainSingle().Which.Should().Contain("not written");

        CheckpointVerifier.Verify(_model).Findings.Should().HaveCount(2);
    }

    public void Dispose() => _folder.Dispose();

    private static void Change(string path, int offset)
    {
        var bytes = File.ReadAllBytes(path);
        bytes[offset] ^= 0x10;
        File.WriteAllBytes(path, bytes);
    }

    private Task SaveAsync() => Sources.SaveAsync(_model, [Sources.Tensor("a", 13), Sources.Tensor("b", 8)]);

    private IReadOnlyList<string> Repair() => CheckpointRepair.Run(_model, CheckpointVerifier.Verify(_model));
}
