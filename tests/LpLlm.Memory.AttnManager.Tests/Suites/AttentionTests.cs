namespace LpLlm.Memory.Attention.Tests;

/// <summary>Results, compared with <see cref="Oracle"/>.</summary>
public abstract class AttentionTests : AttnTestBase
{
    public static TheoryData<int, int, int, KvElementType> Shapes()
    {
        var data = new TheoryData<int, int, int, KvElementType>();
        foreach (var type in Enum.GetValues<KvElementType>())
        {
            foreach (var (queryHeads, kvHeads) in new[] { (1, 1), (8, 2), (16, 16), (32, 8), (5, 1), (96, 1) })
            {
                data.Add(queryHeads, kvHeads, 32, type);
            }

            foreach (var headDim in new[] { 1, 7, 33, 64, 96, 128, 200 })
            {
                data.Add(6, 2, headDim, type);
            }
        }

        return data;
    }

    [SkippableTheory]
    [MemberData(nameof(Shapes))]
    public async Task Submit_PrefillThenDecode_MatchesOracle(int queryHeads, int kvHeads, int headDim, KvElementType type)
    {
        var manager = CreateManager();
        var all = Tokens.Random(headDim, 70, queryHeads, Shape(kvHeads, headDim, type));
        var sequence = manager.CreateCache(all.Shape).CreateSequence();

        (await manager.AttendAsync(sequence, all.Slice(0, 67))).ShouldMatch(Oracle.Attend(all.Slice(0, 67), 67));
        for (var length = 68; length <= 70; length++)
        {
            (await manager.AttendAsync(sequence, all.Slice(length - 1, 1))).ShouldMatch(Oracle.Attend(all.Slice(0, length), 1));
        }

        sequence.GetLength(0).Should().Be(70);
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(33)]
    [InlineData(64)]
    [InlineData(129)]
    public async Task Submit_LengthAtPageBorder_MatchesOracleAndRentsWholePages(int length)
    {
        var manager = CreateManager();
        var tokens = Tokens.Random(length, length, 4, Shape());
        var cache = manager.CreateCache(tokens.Shape);
        var sequence = cache.CreateSequence();

        (await manager.AttendAsync(sequence, tokens)).ShouldMatch(Oracle.Attend(tokens, length));

        cache.PageCount.Should().Be((length + 15) / 16);
        cache.PageBytes.Should().Be(16 * 2 * 2 * 8 * sizeof(float));
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(16)]
    [InlineData(64)]
    [InlineData(100)]
    [InlineData(4096)]
    public async Task Submit_AnyPageTokens_SameResult(int pageTokens)
    {
        var manager = CreateManager(options => options.PageTokens = pageTokens);
        var tokens = Tokens.Random(1, 150, 4, Shape(type: KvElementType.BFloat16));
        var sequence = manager.CreateCache(tokens.Shape).CreateSequence();

        (await manager.AttendAsync(sequence, tokens)).ShouldMatch(Oracle.Attend(tokens, 150));
    }

    [SkippableTheory]
    [InlineData(KvElementType.Float32)]
    [InlineData(KvElementType.Float16)]
    [InlineData(KvElementType.BFloat16)]
    public async Task Submit_P9_ChunkedPrefill_EqualsOnePrefillToTheBit(KvElementType type)
    {
        var manager = CreateManager();
        var all = Tokens.Random(3, 150, 6, Shape(2, 33, type));
        var cache = manager.CreateCache(all.Shape);
        var whole = await manager.AttendAsync(cache.CreateSequence(), all);

        foreach (var chunks in new[] { new[] { 75, 75 }, [1, 149], [149, 1], [16, 64, 70], [5, 1, 1, 59, 84] })
        {
            var sequence = cache.CreateSequence();
            var parts = new List<float>();
            var first = 0;
            foreach (var chunk in chunks)
            {
                parts.AddRange(await manager.AttendAsync(sequence, all.Slice(first, chunk)));
                first += chunk;
            }

            parts.Should().Equal(whole, "chunks of {0} see the same keys", string.Join(", ", chunks));
        }
    }

    [SkippableFact]
    public async Task Submit_P9_LaterChunk_MaskIsAlignedToTheRight()
    {
        var manager = CreateManager();
        var shape = Shape(1, 1);
        var sequence = manager.CreateCache(shape).CreateSequence();

        // Equal keys: each query gets the mean of the values it sees, 1..n for the n-th token.
        Tokens Chunk(params float[] values) => new(values.Length, 1, shape, new float[values.Length], new float[values.Length], values);
        (await manager.AttendAsync(sequence, Chunk(1, 2, 3))).ShouldMatch([1, 1.5f, 2]);
        (await manager.AttendAsync(sequence, Chunk(4, 5))).ShouldMatch([2.5f, 3]);
        (await manager.AttendAsync(sequence, Chunk(6))).ShouldMatch([3.5f]);
    }

    [SkippableFact]
    public async Task Submit_MixedLengthsInOneBatch_EachRowMatchesOracle()
    {
        var manager = CreateManager();
        var shape = Shape(2, 32, KvElementType.Float16);
        var cache = manager.CreateCache(shape);
        int[] before = [0, 40, 17, 5, 0];
        int[] added = [70, 1, 15, 60, 1];
        var all = before.Select((count, i) => Tokens.Random(i, count + added[i], 8, shape)).ToArray();
        var sequences = all.Select(_ => cache.CreateSequence()).ToArray();
        for (var i = 0; i < all.Length; i++)
        {
            if (before[i] > 0)
            {
                await manager.AttendAsync(sequences[i], all[i].Slice(0, before[i]));
            }
        }

        var parts = await manager.AttendAsync(0, [.. all.Select((tokens, i) => (sequences[i], tokens.Slice(before[i], added[i])))]);

        for (var i = 0; i < all.Length; i++)
        {
            parts[i].ShouldMatch(Oracle.Attend(all[i], added[i]));
        }
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    public async Task Submit_P6_AnySplitOfTheBatch_SameResultToTheBit(int rowsPerRequest)
    {
        var manager = CreateManager(options => options.Parallelism = rowsPerRequest);
        var shape = Shape(2, 24);
        var rows = Enumerable.Range(0, 7).Select(i => Tokens.Random(i, (i * 13) + 1, 6, shape)).ToArray();
        var cache = manager.CreateCache(shape);
        var together = await manager.AttendAsync(0, [.. rows.Select(tokens => (cache.CreateSequence(), tokens))]);

        var split = new List<float[]>();
        foreach (var chunk in rows.Chunk(rowsPerRequest))
        {
            split.AddRange(await manager.AttendAsync(0, [.. chunk.Select(tokens => (cache.CreateSequence(), tokens))]));
        }

        split.Should().HaveCount(7);
        for (var i = 0; i < 7; i++)
        {
            split[i].Should().Equal(together[i]);
        }
    }

    [SkippableFact]
    public async Task Submit_SeveralLayers_AreIndependentAndShareThePages()
    {
        var manager = CreateManager();
        var shape = Shape(2, 8, layers: 3);
        var cache = manager.CreateCache(shape);
        var sequence = cache.CreateSequence();
        var layers = Enumerable.Range(0, 3).Select(layer => Tokens.Random(layer, 20, 4, shape)).ToArray();
        foreach (var layer in new[] { 2, 0, 1 })
        {
            var part = await manager.AttendAsync(layer, (sequence, layers[layer].Slice(0, 19)));
            part[0].ShouldMatch(Oracle.Attend(layers[layer].Slice(0, 19), 19));
        }

        (await manager.AttendAsync(2, (sequence, layers[2].Slice(19, 1))))[0].ShouldMatch(Oracle.Attend(layers[2], 1));

        Enumerable.Range(0, 3).Select(sequence.GetLength).Should().Equal(19, 19, 20);
        cache.PageCount.Should().Be(2);
    }

    [SkippableTheory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(20)]
    public async Task Truncate_ThenAppend_ContinuesFromTheKeptTokens(int kept)
    {
        var manager = CreateManager();
        var old = Tokens.Random(1, 40, 4, Shape());
        var cache = manager.CreateCache(old.Shape);
        var sequence = cache.CreateSequence();
        await manager.AttendAsync(sequence, old);

        sequence.Truncate(kept);

        cache.PageCount.Should().Be((kept + 15) / 16);
        var added = Tokens.Random(2, 30, 4, old.Shape);
        var all = new Tokens(
            kept + 30, 4, old.Shape, [.. old.Slice(0, kept).Query, .. added.Query], [.. old.Slice(0, kept).Key, .. added.Key],
            [.. old.Slice(0, kept).Value, .. added.Value]);
        (await manager.AttendAsync(sequence, added)).ShouldMatch(Oracle.Attend(all, 30));
    }
}
