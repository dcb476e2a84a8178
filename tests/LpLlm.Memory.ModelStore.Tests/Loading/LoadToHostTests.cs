using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Models;

/// <summary>The original's test_load_to_host, and what it left out: files of every length, several of them, on a disk and in memory.</summary>
public sealed class LoadToHostTests
{
    private const string Model = "facebook/opt-1.3b";

    public static TheoryData<string?> FileSystems => [null, "/dev/shm"];

    [Theory]
    [MemberData(nameof(FileSystems))]
    public async Task LoadToHost_32MiBOfOnes_RegistersLoadsAndClears(string? parent)
    {
        const int Length = 32 << 20;
        using var files = new ModelFiles(parent);
        files.Add(Model, Length);
        await File.WriteAllBytesAsync(files.PathOf(Model, 0), Enumerable.Repeat((byte)0xFF, Length).ToArray());
        var memory = new NativeModelMemory { ExtentBytes = 4 << 20 };
        await using var catalog = Catalogs.Over(files, memory, readBytes: 4 << 20);

        (await catalog.RegisterAsync(Model).DefaultTimeout()).Should().Be(Length);
        await catalog.LoadAsync(Model, RentPriority.Normal).DefaultTimeout();
        using (var use = await catalog.UseAsync(Model).DefaultTimeout())
        {
            NativeModelMemory.BytesOf(use).Should().OnlyContain(b => b == 0xFF);
        }

        await catalog.ClearAsync().DefaultTimeout();
        memory.LiveCount.Should().Be(0);
        catalog.List().Should().BeEmpty();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(4095)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(5000)]
    [InlineData(65_536)]
    [InlineData(65_537)]
    [InlineData((3 << 20) + 2048)]
    public async Task F2_Load_LengthThatIsNoBlock_ComesWhole(int length)
    {
        foreach (var parent in new[] { null, "/dev/shm" })
        {
            await CheckLoadAsync(new NativeModelMemory(), parent, length);
        }
    }

    [Fact]
    public async Task F2_Load_NoRoomBehindTheLastByte_WritesNothingThere() =>
        await CheckLoadAsync(new NativeModelMemory { RoundingBytes = 1 }, null, (1 << 20) + 1000);

    [Fact]
    public async Task F2_Load_UnalignedFiles_LeaveEachOtherAlone() =>
        await CheckLoadAsync(new NativeModelMemory(), null, 100_000, 200_008, 8, 300_016, 4096, 5000);

    [Fact]
    public async Task Load_UnalignedMemory_ComesWhole() =>
        await CheckLoadAsync(new NativeModelMemory { MisalignedBytes = 8 }, null, 3_000_000, 1_000_008);

    [Fact]
    public async Task F4_Load_ReadsThatWouldCrossManyBorders_ComeWhole() =>
        await CheckLoadAsync(new NativeModelMemory(), null, 24, 8, 16, 8, 8, 50_000, 8, 24);

    [Fact]
    public async Task F4_Load_ExtentsShorterThanReads_ComeWhole() =>
        await CheckLoadAsync(new NativeModelMemory { ExtentBytes = 8192 }, null, 200_000, 8192, 100_008);

    private static async Task CheckLoadAsync(NativeModelMemory memory, string? parent, params int[] partitionBytes)
    {
        using var files = new ModelFiles(parent);
        var bytes = files.Add(Model, partitionBytes);
        await using (var catalog = Catalogs.Over(files, memory))
        {
            using var use = await catalog.UseAsync(Model).DefaultTimeout();

            use.LengthBytes.Should().Be(bytes.Length);
            NativeModelMemory.BytesOf(use).AsSpan().SequenceEqual(bytes).Should().BeTrue();
        }

        memory.LiveCount.Should().Be(0);
        memory.GuardBroken.Should().BeFalse();
    }
}
