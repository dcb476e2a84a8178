namespace LpLlm.Memory.Attention.Tests;

/// <summary>Scales, large scores and numbers that are none.</summary>
public abstract class NumericsTests : AttnTestBase
{
    [SkippableTheory]
    [InlineData(0f)]
    [InlineData(0.25f)]
    [InlineData(-1f)]
    public async Task Submit_GivenScale_IsUsed(float scale)
    {
        var manager = CreateManager();
        var tokens = Tokens.Random(1, 20, 4, Shape());
        var sequence = manager.CreateCache(tokens.Shape).CreateSequence();

        using var result = await manager.SubmitAsync(Tokens.Request(0, scale, (sequence, tokens))).WaitAsync(Deadline);

        result.AsSpan().ToArray().ShouldMatch(Oracle.Attend(tokens, 20, scale));
    }

    [SkippableFact]
    public async Task Submit_LargeScores_StayFinite()
    {
        var manager = CreateManager();
        var tokens = Tokens.Random(1, 100, 4, Shape());
        var sequence = manager.CreateCache(tokens.Shape).CreateSequence();

        using var result = await manager.SubmitAsync(Tokens.Request(0, 100f, (sequence, tokens))).WaitAsync(Deadline);

        result.AsSpan().ToArray().ShouldMatch(Oracle.Attend(tokens, 100, 100f), 1e-2f);
    }

    [SkippableFact]
    public async Task Submit_NaNInALaterToken_DoesNotReachEarlierOnes()
    {
        var manager = CreateManager();
        var tokens = Tokens.Random(1, 40, 6, Shape());
        var clean = Oracle.Attend(tokens, 40);
        tokens.Value.AsSpan(20 * 2 * 8).Fill(float.NaN);
        tokens.Key.AsSpan(20 * 2 * 8).Fill(float.NaN);

        var result = await manager.AttendAsync(manager.CreateCache(tokens.Shape).CreateSequence(), tokens);

        result[..(20 * 6 * 8)].ShouldMatch(clean[..(20 * 6 * 8)]);
        result[(20 * 6 * 8)..].Should().OnlyContain(element => float.IsNaN(element));
    }
}
