namespace LpLlm.Memory.Attention.Tests;

/// <summary>Misuse faults the task, touches no sequence and rents nothing.</summary>
public class RequestCheckTests : AttnTestBase
{
    private readonly IAttnManager _manager;
    private readonly IKvCache _cache;
    private readonly IKvSequence _sequence;

    public RequestCheckTests()
    {
        _manager = CreateManager();
        _cache = _manager.CreateCache(Shape());
        _sequence = _cache.CreateSequence();
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public Task Submit_NoSuchLayer_Throws(int layer) =>
        ShouldFail(Request(layer: layer), $"Layer = {layer} is not one of the cache's 1 layers*");

    [Theory]
    [InlineData(0)]
    [InlineData(-2)]
    [InlineData(3)]
    public Task Submit_QueryHeadsNoMultiple_Throws(int heads) =>
        ShouldFail(Request(queryHeads: heads), $"QueryHeadCount = {heads} is not a multiple of the cache's 2 KV heads*");

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public Task Submit_ScaleNotFinite_Throws(float scale) => ShouldFail(Request(scale: scale), "Scale = * is not finite*");

    [Fact]
    public Task Submit_WrongQueryLength_Throws() =>
        ShouldFail(Request(query: 33), "Query has 33 elements; 1 tokens * 4 heads * head dimension 8 are 32*");

    [Fact]
    public Task Submit_WrongKeyLength_Throws() => ShouldFail(Request(key: 15), "Key has 15 elements*are 16*");

    [Fact]
    public Task Submit_WrongValueLength_Throws() => ShouldFail(Request(value: 0), "Value has 0 elements*are 16*");

    [Fact]
    public Task Submit_NoRows_Throws() => ShouldFail(Request(rows: []), "Rows is empty*");

    [Theory]
    [InlineData(0)]
    [InlineData(-5)]
    public Task Submit_TokenCountBelowOne_Throws(int count) =>
        ShouldFail(Request(rows: [new AttnRow(_sequence, count)]), $"Rows[0].TokenCount = {count} is below 1*");

    [Fact]
    public Task Submit_TokenCountsOverflow_Throws() => ShouldFail(
        Request(rows: [new AttnRow(_sequence, int.MaxValue), new AttnRow(_cache.CreateSequence(), int.MaxValue)]),
        "Rows[1].TokenCount = 2147483647*makes more than 2147483647 tokens*");

    [Fact]
    public Task Submit_ProductOfLengthsOverflows_Throws() => ShouldFail(
        Request(queryHeads: int.MaxValue - 1, rows: [new AttnRow(_sequence, int.MaxValue)]), "Query has 32 elements*are 3689348*");

    [Fact]
    public Task Submit_NullSequence_Throws() => ShouldFail(Request(rows: [default]), "Rows[0] has no sequence*");

    [Fact]
    public Task Submit_SequenceTwice_Throws() => ShouldFail(
        Request(rows: [new AttnRow(_sequence, 1), new AttnRow(_sequence, 1)]), "*Rows[1] is named twice*");

    [Fact]
    public Task Submit_SequenceOfAnotherManager_Throws() => ShouldFail(
        Request(rows: [new AttnRow(CreateManager().CreateCache(Shape()).CreateSequence(), 1)]), "*Rows[0] is another manager's*");

    [Fact]
    public Task Submit_SequencesOfTwoCaches_Throws() => ShouldFail(
        Request(rows: [new AttnRow(_sequence, 1), new AttnRow(_manager.CreateCache(Shape()).CreateSequence(), 1)]),
        "*Rows[1] is of another cache*");

    [Fact]
    public async Task Submit_DisposedSequence_ThrowsAndFreesTheOtherRows()
    {
        var disposed = _cache.CreateSequence();
        disposed.Dispose();

        await ShouldFail(
            Request(query: 64, key: 32, value: 32, rows: [new AttnRow(_sequence, 1), new AttnRow(disposed, 1)]), "*is disposed*");
    }

    [Fact]
    public async Task Submit_NullRequest_Throws() => await FluentActions
        .Awaiting(() => _manager.SubmitAsync((AttnRequest)null!).WaitAsync(Deadline)).Should().ThrowAsync<ArgumentNullException>();

    [Fact]
    public void GetLength_NoSuchLayer_Throws()
    {
        FluentActions.Invoking(() => _sequence.GetLength(-1)).Should().Throw<ArgumentOutOfRangeException>();
        FluentActions.Invoking(() => _sequence.GetLength(1)).Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public void Truncate_Negative_Throws() =>
        FluentActions.Invoking(() => _sequence.Truncate(-1)).Should().Throw<ArgumentOutOfRangeException>();

    [Theory]
    [InlineData(0, 1, 1, "LayerCount = 0 is below 1*")]
    [InlineData(1, -1, 1, "KvHeadCount = -1 is below 1*")]
    [InlineData(1, 1, 0, "HeadDim = 0 is below 1*")]
    [InlineData(1, 1, 65_537, "HeadDim = 65537 exceeds 65536*")]
    [InlineData(int.MaxValue, int.MaxValue, 65_536, "A page of 16 tokens*exceeds 2^63 - 1 bytes*")]
    public void CreateCache_NumberOutOfRange_Throws(int layers, int heads, int headDim, string message) => FluentActions
        .Invoking(() => _manager.CreateCache(Shape(heads, headDim, layers: layers))).Should().Throw<ArgumentException>().WithMessage(message);

    [Fact]
    public void CreateCache_UnknownElementType_Throws() => FluentActions
        .Invoking(() => _manager.CreateCache(Shape(type: (KvElementType)7))).Should().Throw<ArgumentException>().WithMessage("ElementType = 7*");

    [Theory]
    [InlineData(2048, true)]
    [InlineData(2047, false)]
    public void CreateCache_PageAboveChunkSize_Throws(long chunkSize, bool fits)
    {
        var act = () => CreateManager(options => options.ChunkSize = chunkSize).CreateCache(Shape(1, 16));

        if (fits)
        {
            act.Should().NotThrow().Which.PageBytes.Should().Be(2048);
        }
        else
        {
            act.Should().Throw<ArgumentException>().WithMessage("A KV page is 2048 B, more than ChunkSize = 2047 B; raise ChunkSize*");
        }
    }

    private async Task ShouldFail(AttnRequest request, string message)
    {
        var task = _manager.SubmitAsync(request); // does not throw: misuse is reported by the task
        await FluentActions.Awaiting(() => task.WaitAsync(Deadline)).Should().ThrowAsync<ArgumentException>().WithMessage(message);
        (Pool.TotalRents, _sequence.GetLength(0)).Should().Be((0, 0));
        var tokens = Tokens.Random(1, 3, 4, Shape());
        (await _manager.AttendAsync(_sequence, tokens)).ShouldMatch(Oracle.Attend(tokens, 3));
    }

    private AttnRequest Request(
        int layer = 0, int queryHeads = 4, float? scale = null, int query = 32, int key = 16, int value = 16, AttnRow[]? rows = null) => new()
        {
            Layer = layer,
            QueryHeadCount = queryHeads,
            Rows = rows ?? [new AttnRow(_sequence, 1)],
            Query = new float[query],
            Key = new float[key],
            Value = new float[value],
            Scale = scale,
        };
}
