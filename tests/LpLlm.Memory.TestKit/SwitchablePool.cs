using System.Diagnostics.CodeAnalysis;

namespace LpLlm.Memory.TestKit;

/// <summary>A pool around a pool whose server a test takes away and brings back. Leases that are out stay usable meanwhile.</summary>
/// <param name="inner">Serves while the switch is on; disposed with this.</param>
public sealed class SwitchablePool(IPinnedMemoryPool inner) : IPinnedMemoryPool
{
    private readonly Lock _gate = new();
    private CancellationTokenSource _outage = new();
    private int _asked;

    /// <summary>Rents asked for so far, refused ones included.</summary>
    public int Asked => Volatile.Read(ref _asked);

    public string Name => inner.Name;

    public PoolCapabilities Capabilities => inner.Capabilities;

    /// <summary>From now on every rent fails with <see cref="PoolServerUnavailableException"/>; those that wait do so at once.</summary>
    public void TakeAway()
    {
        lock (_gate)
        {
            _outage.Cancel();
        }
    }

    /// <summary>Rents work again.</summary>
    public void BringBack()
    {
        lock (_gate)
        {
            _outage = new CancellationTokenSource();
        }
    }

    public PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        Ask();
        return inner.Rent(lengthBytes, alignmentBytes);
    }

    public bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        Ask();
        return inner.TryRent(lengthBytes, out lease, alignmentBytes);
    }

    public async ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        var outage = Ask();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(outage, cancellationToken);
        try
        {
            return await inner.RentAsync(request, either.Token);
        }
        catch (OperationCanceledException) when (outage.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw Failure();
        }
    }

    public PoolSnapshot GetSnapshot() => inner.GetSnapshot();

    public long Trim(long keepBytes = 0) => inner.Trim(keepBytes);

    public void Dispose() => inner.Dispose();

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private CancellationToken Ask()
    {
        Interlocked.Increment(ref _asked);
        lock (_gate)
        {
            return _outage.IsCancellationRequested ? throw Failure() : _outage.Token;
        }
    }

    private PoolServerUnavailableException Failure() =>
        new("test://" + inner.Name, "The server was taken away.") { PoolName = inner.Name };
}
