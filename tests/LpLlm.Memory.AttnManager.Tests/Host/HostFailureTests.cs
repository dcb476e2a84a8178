using System.Buffers;

namespace LpLlm.Memory.Attention.Tests;

public class HostFailureTests : FailureTests
{
    [Fact]
    public async Task Submit_P1_CallersMemoryReturnedBeforeItIsRead_FaultsAndRollsBack()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape());
        var sequence = cache.CreateSequence();
        var tokens = Tokens.Random(1, 20, 4, Shape());
        var good = Tokens.Request(0, null, (sequence, tokens));
        var lease = Pool.RentTensor<float>(20, 4, 8);
        var bad = new AttnRequest
        {
            Layer = 0,
            QueryHeadCount = 4,
            Rows = good.Rows,
            Query = lease.AsMemory(),
            Key = good.Key,
            Value = good.Value,
        };
        using (var gate = new RentGate(Pool))
        {
            var task = manager.SubmitAsync(bad);
            await gate.Entered;
            lease.Dispose();
            gate.Open();
            await FluentActions.Awaiting(() => task.WaitAsync(Deadline)).Should().ThrowAsync<ObjectDisposedException>();
        }

        (cache.PageCount, sequence.GetLength(0)).Should().Be((0, 0));
        (await manager.AttendAsync(sequence, tokens)).ShouldMatch(Oracle.Attend(tokens, 20));
    }

    [Fact]
    public async Task Submit_SequenceTooLong_IsRefusedWithoutOverflow()
    {
        var manager = CreateManager();
        var sequence = manager.CreateCache(Shape(1, 1)).CreateSequence();
        using var huge = new HugeMemory((1 << 30) + 1);
        var request = new AttnRequest
        {
            Layer = 0,
            QueryHeadCount = 1,
            Rows = [new AttnRow(sequence, (1 << 30) + 1)],
            Query = huge.Memory,
            Key = huge.Memory,
            Value = huge.Memory,
        };

        var act = () => manager.SubmitAsync(request).WaitAsync(Deadline);

        (await act.Should().ThrowAsync<ArgumentException>()).WithMessage("*longest sequence, 1073741824 tokens*");
    }

    private sealed class HugeMemory(int length) : MemoryManager<float>
    {
        public override Memory<float> Memory => CreateMemory(length);

        public override Span<float> GetSpan() => throw new InvalidOperationException("Nobody may read this.");

        public override MemoryHandle Pin(int elementIndex = 0) => throw new InvalidOperationException("Nobody may read this.");

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
