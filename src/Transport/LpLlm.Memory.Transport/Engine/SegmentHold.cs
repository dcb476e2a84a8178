namespace LpLlm.Memory.Transport.Engine;

/// <summary>Segments that stay as they are until this is disposed, which counts once. Never disposed: they stay so for ever.</summary>
/// <param name="segments">One for each range that was asked for.</param>
/// <param name="release">Lets go of them.</param>
internal sealed class SegmentHold(IReadOnlyList<Segment> segments, Action release) : IDisposable
{
    private Action? _release = release;

    public IReadOnlyList<Segment> Segments { get; } = segments;

    public void Dispose() => Interlocked.Exchange(ref _release, null)?.Invoke();
}
