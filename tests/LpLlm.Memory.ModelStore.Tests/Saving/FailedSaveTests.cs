using System.Diagnostics;

namespace LpLlm.Memory.Models;

/// <summary>F10: the original's failed save deletes the model that was there.</summary>
public sealed class FailedSaveTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private ModelFolder Model => new("m", Path.Combine(_folder.Root, "m"));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Write_F10_SourceThatFails_LeavesWhatWasThere(bool hasOld)
    {
        await SaveOldAsync(hasOld);
        var failing = new FailingStorage(40 << 20, 30 << 20, new IOException("the disk of the source is broken"));

        var save = () => Sources.SaveAsync(Model, [SourceTensor.RowMajor("w", failing, [failing.LengthBytes], "torch.uint8")]);

        (await save.Should().ThrowAsync<ModelStoreException>().WithMessage("Model 'm': *source is broken*as it was*")).Which.Fault.Should().Be(ModelStoreFault.Unreadable);
        CheckOld(hasOld);
    }

    [Fact]
    public async Task Write_F10_Cancelled_LeavesWhatWasThere()
    {
        await SaveOldAsync(true);
        using var cancellation = new CancellationTokenSource();
        var plan = CheckpointPlan.Of([Sources.Tensor("w", 20 << 20)]);

        var save = () => CheckpointWriter.WriteAsync(Model, plan, [], new CancelAtOnce(cancellation), cancellation.Token).WaitAsync(TimeSpan.FromSeconds(30));

        await save.Should().ThrowAsync<OperationCanceledException>();
        CheckOld(true);
    }

    [SkippableFact]
    public async Task Write_F10_DiskThatIsFull_SaysSoAndLeavesWhatWasThere()
    {
        var mount = Directory.CreateDirectory(Path.Combine(_folder.Root, "small")).FullName;
        Skip.IfNot(await RunAsync("mount", "-t", "tmpfs", "-o", "size=1m", "none", mount), "mounting a small file system needs root");
        try
        {
            var model = new ModelFolder("m", Path.Combine(mount, "m"));
            await Sources.SaveAsync(model, [Sources.Tensor("old", 1000)]);

            var save = () => Sources.SaveAsync(model, [Sources.Tensor("w", 2 << 20)]);

            (await save.Should().ThrowAsync<ModelStoreException>().WithMessage("*No space left*2097152 B*as it was*")).Which.IsTransient.Should().BeFalse();
            Checkpoint.Read(model).Tensors.Single().Name.Should().Be("old");
            Directory.GetFileSystemEntries(mount).Should().Equal(model.FullPath);
        }
        finally
        {
            (await RunAsync("umount", mount)).Should().BeTrue();
        }
    }

    [SkippableFact]
    public async Task Write_F10_DiskThatIsReadOnly_SaysSoAndLeavesWhatWasThere()
    {
        var mount = Directory.CreateDirectory(Path.Combine(_folder.Root, "small")).FullName;
        Skip.IfNot(await RunAsync("mount", "-t", "tmpfs", "-o", "size=1m", "none", mount), "mounting a small file system needs root");
        try
        {
            var model = new ModelFolder("m", Path.Combine(mount, "m"));
            await Sources.SaveAsync(model, [Sources.Tensor("old", 1000)]);
            (await RunAsync("mount", "-o", "remount,ro", mount)).Should().BeTrue();

            var save = () => Sources.SaveAsync(model, [Sources.Tensor("w", 8)]);

            await save.Should().ThrowAsync<ModelStoreException>().WithMessage("*Read-only file system*as it was*");
            Checkpoint.Read(model).Tensors.Single().Name.Should().Be("old");
        }
        finally
        {
            (await RunAsync("umount", mount)).Should().BeTrue();
        }
    }

    [Fact]
    public async Task Write_StoragePathThatIsAFile_IsRefused()
    {
        File.WriteAllText(Path.Combine(_folder.Root, "file"), "");

        var save = () => Sources.SaveAsync(new ModelFolder("m", Path.Combine(_folder.Root, "file", "m")), [Sources.Tensor("w", 8)]);

        await save.Should().ThrowAsync<ModelStoreException>().WithMessage("*not saved*");
    }

    [Fact]
    public async Task Write_FolderThatIsNoModel_IsNotReplaced()
    {
        _folder.Model("m", ("letter.doc", [1]));

        var save = () => Sources.SaveAsync(Model, [Sources.Tensor("w", 8)]);

        await save.Should().ThrowAsync<ModelStoreException>().WithMessage("*is no model*");
        File.Exists(Model.PathOf("letter.doc")).Should().BeTrue();
    }

    [Fact]
    public async Task Write_ModelWithModelsBelow_IsNotReplaced()
    {
        await Sources.SaveAsync(Model, [Sources.Tensor("w", 8)]);
        await Sources.SaveAsync(new ModelFolder("m/rank_0", Model.PathOf("rank_0")), [Sources.Tensor("w", 8)]);

        var save = () => Sources.SaveAsync(Model, [Sources.Tensor("w", 8)]);

        await save.Should().ThrowAsync<ModelStoreException>().WithMessage("*rank_0 would be deleted*");
    }

    [Fact]
    public async Task Write_LeftoversOfAKilledSave_AreRemovedButNotThoseOfARunningOne()
    {
        Directory.CreateDirectory(Path.Combine(_folder.Root, ".m.saving-dead"));
        var running = Directory.CreateDirectory(Path.Combine(_folder.Root, ".m.saving-alive")).FullName;
        using var claim = SaveNative.TryLockFolder(running);

        await Sources.SaveAsync(Model, [Sources.Tensor("w", 8)]);

        Directory.GetDirectories(_folder.Root).Should().BeEquivalentTo(Model.FullPath, running);
    }

    [Fact]
    public async Task Commit_FileSystemThatCannotExchange_MovesTheOldModelAside()
    {
        await SaveOldAsync(true);
        using (var staged = StagedFolder.Create(Model, canExchange: false))
        {
            await Sources.SaveAsync(staged.Staged with { FullPath = Path.Combine(_folder.Root, "other") }, [Sources.Tensor("new", 8)]);
            foreach (var file in Directory.GetFiles(Path.Combine(_folder.Root, "other")))
            {
                File.Copy(file, staged.Staged.PathOf(Path.GetFileName(file)));
            }

            staged.Commit();
        }

        Checkpoint.Read(Model).Tensors.Single().Name.Should().Be("new");
        Directory.GetDirectories(_folder.Root, ".*").Should().BeEmpty();
    }

    [Fact]
    public async Task Create_SaveThatEndedBetweenItsTwoMoves_BringsTheOldModelBack()
    {
        await SaveOldAsync(true);
        Directory.Move(Model.FullPath, Path.Combine(_folder.Root, ".m.replaced"));

        using (StagedFolder.Create(Model))
        {
            CheckOldModel();
        }

        CheckOld(true);
    }

    public void Dispose() => _folder.Dispose();

    private static async Task<bool> RunAsync(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        return process.ExitCode == 0;
    }

    private Task SaveOldAsync(bool hasOld) => hasOld ? Sources.SaveAsync(Model, [Sources.Tensor("old", 1000)]) : Task.CompletedTask;

    private void CheckOld(bool hasOld)
    {
        Directory.GetFileSystemEntries(_folder.Root).Should().Equal(hasOld ? [Model.FullPath] : []);
        if (hasOld)
        {
            CheckOldModel();
        }
    }

    private void CheckOldModel()
    {
        CheckpointVerifier.Verify(Model).Findings.Should().BeEmpty();
        Checkpoint.Read(Model).Tensors.Single().Name.Should().Be("old");
    }

    private sealed class CancelAtOnce(CancellationTokenSource cancellation) : IProgress<SaveProgress>
    {
        public void Report(SaveProgress value) => cancellation.Cancel();
    }
}
