using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Generation;
using LpLlm.Memory.Samples.Generate.Tests.Support;

namespace LpLlm.Memory.Samples.Generate.Tests;

public sealed class RefusedTextTests(ModelFixture fixture) : IClassFixture<ModelFixture>
{
    [Theory]
    [InlineData(0, 1, "The prompt is empty*")]
    [InlineData(1024, 1, "The prompt has 1024 bytes and the model 1024 positions*at most 1023 bytes.")]
    [InlineData(1000, 25, "The prompt's 1000 bytes and 25 new ones exceed the model's 1024 positions*at most 24*")]
    [InlineData(1, int.MaxValue, "The prompt's 1 bytes and 2147483647 new ones exceed*at most 1023*")]
    public async Task GenerateAsync_PromptThatDoesNotFit_IsRefused(int promptLength, int newTokens, string message)
    {
        var generate = async () => await new TextGenerator(fixture.Model, KvElementType.Float32)
            .GenerateAsync(new byte[promptLength], newTokens, Bounded.Token())
            .ToArrayAsync();

        await generate.Should().ThrowAsync<RefusedTextException>().WithMessage(message);
    }

    [Fact]
    public async Task GenerateAsync_AllPositions_AreUsable()
    {
        var prompt = new byte[1021]; // four blocks of prefill
        Array.Fill(prompt, (byte)' ');

        var text = await new TextGenerator(fixture.Model, KvElementType.BFloat16).GenerateAsync(prompt, 3, Bounded.Token()).ToArrayAsync();

        text.Should().HaveCount(3);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1025)]
    public async Task ScoreAsync_LengthOutOfRange_IsRefusedWithBothNumbers(int length)
    {
        var score = () => new Scorer(fixture.Model, KvElementType.Float32).ScoreAsync(new byte[length], Bounded.Token());

        await score.Should().ThrowAsync<RefusedTextException>().WithMessage($"*{length} bytes; 2 to 1024 *");
    }

    [Fact]
    public async Task GenerateAsync_Cancelled_Stops()
    {
        using var cancellation = new CancellationTokenSource();
        var made = 0;
        var generate = async () =>
        {
            await foreach (var _ in new TextGenerator(fixture.Model, KvElementType.Float32)
                .GenerateAsync(new byte[] { 65 }, 1000, cancellation.Token))
            {
                made++;
                await cancellation.CancelAsync();
            }
        };

        await generate.Should().ThrowAsync<OperationCanceledException>();
        made.Should().Be(1);
    }
}
