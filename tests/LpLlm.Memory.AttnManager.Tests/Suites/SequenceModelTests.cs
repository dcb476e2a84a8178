using FsCheck;
using FsCheck.Fluent;

namespace LpLlm.Memory.Attention.Tests;

/// <summary>Random appends, truncations and disposals over three sequences, against a model that keeps plain token lists.</summary>
public abstract class SequenceModelTests : AttnTestBase
{
    private const int PageTokens = 4;
    private const int MostPages = 24;

    private static readonly KvCacheShape ModelShape = Shape(2, 5, KvElementType.Float16);

    [SkippableFact]
    public void Operations_AnySequence_MatchTheModel()
    {
        CreateManager(); // where there is no device it skips; within FsCheck that would be a failure
        var operation =
            from sequence in Gen.Choose(0, 2)
            from kind in Gen.Frequency((6, Gen.Constant("append")), (2, Gen.Constant("truncate")), (1, Gen.Constant("free")))
            from amount in Gen.Choose(0, 40)
            select (sequence, kind, amount);

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(60),
            Prop.ForAll(
                operation.ListOf().Select(list => list.ToArray()).ToArbitrary(), operations => RunAsync(operations).WaitAsync(Deadline)));
    }

    private async Task RunAsync((int Sequence, string Kind, int Amount)[] operations)
    {
        var manager = CreateManager(options => (options.PageTokens, options.PoolSize) = (PageTokens, MostPages * 160L));
        await using var disposing = manager;
        var cache = manager.CreateCache(ModelShape);
        cache.PageBytes.Should().Be(160);
        var sequences = Enumerable.Range(0, 3).Select(_ => cache.CreateSequence()).ToArray();
        var model = Enumerable.Range(0, 3).Select(_ => Tokens.Random(0, 0, 4, ModelShape)).ToArray();
        for (var step = 0; step < operations.Length; step++)
        {
            var (i, kind, amount) = operations[step];
            switch (kind)
            {
                case "append" when PagesWith(model, i, amount + 1) > MostPages:
                    await FluentActions.Awaiting(() => manager.AttendAsync(sequences[i], Tokens.Random(step, amount + 1, 4, ModelShape)))
                        .Should().ThrowAsync<PinnedMemoryExhaustedException>();
                    break;
                case "append":
                    var added = Tokens.Random(step, amount + 1, 4, ModelShape);
                    model[i] = Join(model[i], added);
                    (await manager.AttendAsync(sequences[i], added)).ShouldMatch(Oracle.Attend(model[i], added.Count));
                    break;
                case "truncate":
                    sequences[i].Truncate(amount);
                    model[i] = model[i].Slice(0, Math.Min(amount, model[i].Count));
                    break;
                default:
                    sequences[i].Dispose();
                    sequences[i] = cache.CreateSequence();
                    model[i] = model[i].Slice(0, 0);
                    break;
            }

            sequences.Select(sequence => sequence.GetLength(0)).Should().Equal(model.Select(tokens => tokens.Count));
            cache.PageCount.Should().Be(PagesWith(model, 0, 0));
            Pool.LiveLeases.Should().Be(cache.PageCount);
        }
    }

    private static int PagesWith(Tokens[] model, int index, int added) =>
        model.Select((tokens, i) => (tokens.Count + (i == index ? added : 0) + PageTokens - 1) / PageTokens).Sum();

    private static Tokens Join(Tokens first, Tokens second) => first with
    {
        Count = first.Count + second.Count,
        Query = [.. first.Query, .. second.Query],
        Key = [.. first.Key, .. second.Key],
        Value = [.. first.Value, .. second.Value],
    };
}
