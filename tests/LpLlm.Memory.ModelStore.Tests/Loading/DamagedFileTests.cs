using LpLlm.Memory.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Models;

/// <summary>Files that are not what they were found to be, and disks that fail: an error that says where, no hang, no memory kept.</summary>
public sealed class DamagedFileTests
{
    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 4096)]
    [InlineData(true, 100_000)]
    [InlineData(false, 1)]
    [InlineData(false, 100_000)]
    public async Task Load_FileCutShortMeanwhile_DamagedWithFileAndByte(bool isDirect, int cutBytes)
    {
        var disk = new FakeDisk { IsDirect = isDirect, CutBytes = cutBytes };
        disk.Add("a", 1_000_000);

        await CheckFailsAsync(disk, ModelStoreFault.Damaged, $"*/models/a/tensor.data_0 ends at byte {1_000_000 - cutBytes}, and had 1000000 B*");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(15)]
    public async Task U6_Load_ReadFails_UnreadableWithFileAndByte(int failingPart)
    {
        var disk = new FakeDisk
        {
            Reading = (_, offset) =>
            {
                if (offset / (64 << 10) == failingPart)
                {
                    throw new IOException("Input/output error");
                }
            },
        };
        disk.Add("a", 1 << 20);

        await CheckFailsAsync(disk, ModelStoreFault.Unreadable, "*/models/a/tensor.data_0 cannot be read at byte * Input/output error*");
    }

    [Fact]
    public async Task Load_SecondFileCannotBeOpened_UnreadableAndTheFirstIsClosed()
    {
        var disk = new FakeDisk
        {
            Opening = partition =>
            {
                if (partition.OffsetBytes > 0)
                {
                    throw new UnauthorizedAccessException("Permission denied");
                }
            },
        };
        disk.Add("a", 5000, 5000);

        await CheckFailsAsync(disk, ModelStoreFault.Unreadable, "*/models/a/tensor.data_1 cannot be opened: Permission denied*");
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task F2_Load_OddFilesOnADiskThatInsistsOnBlocks_ComesWhole(bool isDirect, bool hasCache)
    {
        var disk = new FakeDisk { IsDirect = isDirect, HasCache = hasCache };
        disk.Add("a", 100_000, 200_008, 8, 300_016, 4096, 5000);
        var memory = new NativeModelMemory { ExtentBytes = 64 << 10 };
        await using (var catalog = New(disk, memory))
        {
            using var use = await catalog.UseAsync("a").DefaultTimeout();
            FakeDisk.IsIn("a", use).Should().BeTrue();
        }

        memory.GuardBroken.Should().BeFalse();
    }

    private static async Task CheckFailsAsync(FakeDisk disk, ModelStoreFault fault, string message)
    {
        var memory = new NativeModelMemory();
        await using var catalog = New(disk, memory);

        var load = () => catalog.LoadAsync("a", RentPriority.Normal).DefaultTimeout();

        (await load.Should().ThrowAsync<ModelStoreException>().WithMessage(message)).Which.Fault.Should().Be(fault);
        memory.LiveCount.Should().Be(0);
        disk.OpenFiles.Should().Be(0);
    }

    private static ModelCatalog New(FakeDisk disk, NativeModelMemory memory) =>
        new(Catalogs.Settings("/models"), memory, disk, TimeProvider.System, NullLogger.Instance);
}
