using System.Threading.Channels;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A watch. Its events wait here for their reader, up to a bound.</summary>
internal sealed class PendingWatch(int maxUnreadBytes) : PendingCall
{
    /// <summary>What an event takes beside its payload.</summary>
    private const int EventBytes = 256;

    private readonly Channel<PoolMessage> _events = Channel.CreateUnbounded<PoolMessage>(new UnboundedChannelOptions { SingleReader = true });
    private long _unreadBytes;

    /// <summary>False if too many wait already, or nobody waits for them.</summary>
    public bool TryAdd(PoolMessage next) =>
        Interlocked.Add(ref _unreadBytes, EventBytes + next.Payload.Length) <= maxUnreadBytes + EventBytes + next.Payload.Length
        && _events.Writer.TryWrite(next);

    public void Complete() => _events.Writer.TryComplete();

    public override void Fail(Exception exception) => _events.Writer.TryComplete(exception);

    /// <summary>The next event, or null at the end.</summary>
    public async ValueTask<PoolMessage?> ReadAsync()
    {
        if (await _events.Reader.WaitToReadAsync().ConfigureAwait(false) && _events.Reader.TryRead(out var next))
        {
            Interlocked.Add(ref _unreadBytes, -(EventBytes + next.Payload.Length));
            return next;
        }

        return null;
    }

    /// <summary>Closes the descriptors of events that nobody will read. After the end only.</summary>
    public void Drop()
    {
        while (_events.Reader.TryRead(out var next))
        {
            next.Dispose();
        }
    }
}
