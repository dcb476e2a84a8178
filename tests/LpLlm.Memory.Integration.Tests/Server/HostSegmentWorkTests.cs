using LpLlm.Memory.Server;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Server;

/// <summary>However much memory comes back at once, half of the processors answer clients meanwhile.</summary>
public class HostSegmentWorkTests
{
    private const int Length = 2 << 20;
    private static readonly int HalfOfTheProcessors = Math.Max(1, Environment.ProcessorCount / 2);

    [Fact]
    public async Task ClearAndDiscard_OfManySegments_AreOnHalfOfTheProcessorsAtMost()
    {
        var pinner = new GatedPinner();
        var source = new HostSegmentSource(new HostMemorySettings(), NullLogger.Instance, pinner);
        var dirty = await source.CreateAsync(Length, default).DefaultTimeout();
        Bytes(dirty).Fill(0xA5);
        var returned = new List<Segment>();
        for (var i = 0; i < HalfOfTheProcessors + 3; i++)
        {
            returned.Add(await source.CreateAsync(Length, default).DefaultTimeout());
        }

        var discards = Task.WhenAll(returned.Select(segment => segment.DiscardAsync(freesPages: true).AsTask()));
        await TestTimeouts.UntilAsync(() => pinner.Inside == HalfOfTheProcessors);
        var clear = dirty.ClearAsync().AsTask();
        await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Task.Run(() => { }))).DefaultTimeout(); // what was queued before them has begun

        pinner.Inside.Should().Be(HalfOfTheProcessors);
        clear.IsCompleted.Should().BeFalse();
        Bytes(dirty).IndexOfAnyExcept((byte)0xA5).Should().Be(-1, "zeroing waits for its turn as well");

        pinner.Open();
        await discards.DefaultTimeout();
        await clear.DefaultTimeout();
        pinner.Most.Should().Be(HalfOfTheProcessors);
        Bytes(dirty).IndexOfAnyExcept((byte)0).Should().Be(-1);
        await dirty.DiscardAsync(freesPages: true).DefaultTimeout();
    }

    private static unsafe Span<byte> Bytes(Segment segment) => new((void*)segment.Address, Length);

    /// <summary>Counts who unpins, and holds them until it is opened.</summary>
    private sealed class GatedPinner : IHostPinner
    {
        private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Lock _lock = new();
        private int _inside;

        public string Name => "gated";

        public PoolCapabilities Capabilities => PoolCapabilities.PageLocked;

        public int Inside => Volatile.Read(ref _inside);

        public int Most { get; private set; }

        public void Open() => _open.TrySetResult();

        public void Pin(nint address, long lengthBytes)
        {
        }

        public void Unpin(nint address, long lengthBytes)
        {
            lock (_lock)
            {
                Most = Math.Max(Most, ++_inside);
            }

            _open.Task.DefaultTimeout().GetAwaiter().GetResult();
            lock (_lock)
            {
                _inside--;
            }
        }
    }
}
