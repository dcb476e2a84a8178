using static LpLlm.Memory.Models.ReplicaHarness;

namespace LpLlm.Memory.Models;

/// <summary>Requests that are refused before anything of them is done: no byte is copied, nothing stays open, and the name is free.</summary>
public class ReplicaCheckTests
{
    private const int Length = 100 * KiB;

    [Theory]
    [InlineData(0, Length + 1, 0, 0, "src_offset 0")]
    [InlineData(Length, 1, 0, 0, "of a model of")]
    [InlineData(1, Length, 0, 0, "src_offset 1")]
    [InlineData(ulong.MaxValue, 1, 0, 0, "src_offset")]
    [InlineData(1, ulong.MaxValue, 0, 0, "src_offset")]
    [InlineData(ulong.MaxValue, ulong.MaxValue, 0, 0, "src_offset")]
    [InlineData(0, 1, Length, 0, "dst_offset")]
    [InlineData(0, Length, 1, 0, "dst_offset")]
    [InlineData(0, 1, ulong.MaxValue, 0, "dst_offset")]
    [InlineData(0, 0, Length + 1, 0, "dst_offset")]
    [InlineData(0, 1, 0, 1, "handle_idx 1")]
    [InlineData(0, 1, 0, ulong.MaxValue, "handle_idx")]
    public async Task U7_AChunkOutOfRange_IsNamed(ulong source, ulong length, ulong target, ulong handle, string part)
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        using var buffer = sut.Client[0].Allocate(Length);

        await RefusedAsync(sut, sut.Request("m", "r", buffer, new ReplicaChunk(0, 1, 0, 0), new ReplicaChunk(source, length, target, handle)), part);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(65)]
    public async Task U7_AHandleOfAnotherLength_IsNamed(int length)
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);

        await RefusedAsync(sut, Request("m", "r", (sut.Client[0].Uuid, [new byte[length]], [new ReplicaChunk(0, 1, 0, 0)])), $"{length} bytes");
    }

    [Fact]
    public async Task U7_MoreHandlesThanAClientNeeds_AreRefusedBeforeTheDriverOpensOne()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        var handles = Enumerable.Repeat(new byte[64], 1025).ToArray();

        await RefusedAsync(sut, Request("m", "r", (sut.Client[0].Uuid, handles, [new ReplicaChunk(0, 1, 0, 0)])), "1025 handles");
    }

    [Fact]
    public async Task U8_ANameThatWouldFillTheBook_IsRefused()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        using var buffer = sut.Client[0].Allocate(Length);

        await RefusedAsync(sut, sut.Request("m", new string('r', 257), buffer, new ReplicaChunk(0, 1, 0, 0)), "257 characters");
    }

    [Fact]
    public async Task U1_AHandleThatLeadsNowhere_IsThatClientsErrorOnly_AndThoseBeforeItAreClosed()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        using var live = sut.Client[0].Allocate(Length);
        var freed = sut.Client[0].Allocate(Length);
        var dead = freed.Export();
        freed.Dispose();

        await RefusedAsync(sut, Request("m", "r", (sut.Client[0].Uuid, [live.Export(), dead], [new ReplicaChunk(0, 1, 0, 0)])), "Handle 1");
    }

    [Fact]
    public async Task U7_AnUnknownDevice_IsNamedBesideThoseThereAre()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);

        await RefusedAsync(sut, Request("m", "r", ("GPU-0", [], [])), sut.Server[1].Uuid);
    }

    [Fact]
    public async Task U7_KeysThatDoNotMatch_AreNamed()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        var (first, second) = (sut.Client[0].Uuid, sut.Client[1].Uuid);
        var both = Request("m", "r", (first, [], []), (second, [], []));
        var one = Request("m", "r", (first, [], []));

        await RefusedAsync(sut, both with { Handles = one.Handles }, $"handles has not");
        await RefusedAsync(sut, both with { Chunks = one.Chunks }, $"chunks has not");
        await RefusedAsync(sut, Request("m", "r"), "at least one device");
    }

    private static async Task RefusedAsync(ReplicaHarness sut, ReplicaRequest request, string part)
    {
        var refusal = (await sut.Awaiting(store => store.StartAsync(request)).Should().ThrowAsync<ArgumentException>()).Which;

        refusal.Message.Should().Contain(part);
        sut.Server.Should().OnlyContain(device => device.LiveBuffers == 0 && device.LastOrdinal == 0);
        sut.Replicas.Count.Should().Be(0);
        sut.Catalog.Find("m")!.State.Should().Be(ModelState.Registered, "it is not even loaded");
    }
}
