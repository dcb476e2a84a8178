using System.Text;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Generation;
using LpLlm.Memory.Samples.Generate.Tests.Support;
using Xunit.Abstractions;

namespace LpLlm.Memory.Samples.Generate.Tests;

/// <summary>The same weights give the same text and the same probabilities as in PyTorch.</summary>
public sealed class ReferenceTests(ModelFixture fixture, ITestOutputHelper log) : IClassFixture<ModelFixture>
{
    [Theory]
    [MemberData(nameof(Reference.Indices), MemberType = typeof(Reference))]
    public async Task GenerateAsync_Float32Cache_EveryByteIsTheReference(int index)
    {
        var reference = Reference.Instance.Cases[index];
        var generator = new TextGenerator(fixture.Model, KvElementType.Float32);

        var text = await generator
            .GenerateAsync(Encoding.UTF8.GetBytes(reference.Prompt), reference.Continuation.Length, Bounded.Token())
            .ToArrayAsync();

        text.Should().Equal(reference.Continuation);
    }

    [Theory]
    [MemberData(nameof(Reference.Indices), MemberType = typeof(Reference))]
    public async Task PrefillAsync_Float32Cache_LogitsAreTheReference(int index)
    {
        var reference = Reference.Instance.Cases[index];
        using var session = fixture.Model.StartSession(KvElementType.Float32);

        var logits = await new TextGenerator(fixture.Model, KvElementType.Float32)
            .PrefillAsync(session, Encoding.UTF8.GetBytes(reference.Prompt), Bounded.Token());

        var deviation = logits.ToArray().Zip(reference.LastPromptLogits, (ours, theirs) => Math.Abs(ours - theirs)).Max();
        log.WriteLine($"largest deviation {deviation:G3}");
        logits.Length.Should().Be(reference.LastPromptLogits.Length);
        deviation.Should().BeLessThan(2e-3f);
    }

    [Theory]
    [MemberData(nameof(Reference.Indices), MemberType = typeof(Reference))]
    public Task ScoreAsync_Float32Cache_IsTheReference(int index) => CheckScoreAsync(index, KvElementType.Float32, 1e-4);

    [Theory]
    [MemberData(nameof(Reference.Indices), MemberType = typeof(Reference))]
    public Task ScoreAsync_BFloat16Cache_IsNearTheReference(int index) => CheckScoreAsync(index, KvElementType.BFloat16, 5e-3);

    private async Task CheckScoreAsync(int index, KvElementType kvElementType, double tolerance)
    {
        var text = Encoding.UTF8.GetBytes(Reference.Instance.EvalText[index]);

        var score = await new Scorer(fixture.Model, kvElementType).ScoreAsync(text, Bounded.Token());

        log.WriteLine($"deviation {score - Reference.Instance.EvalNll[index]:G3}");
        score.Should().BeApproximately(Reference.Instance.EvalNll[index], tolerance);
    }
}
