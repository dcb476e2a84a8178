using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Server;

/// <summary>Leases that several processes have: each is a lease of the server's by itself, since whoever opens one gets all of its segments.</summary>
internal sealed partial class ServerPool
{
    public async ValueTask<SharedLease> RentSharedAsync(long lengthBytes, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        Token token = default;
        var lease = await RentRegionAsync(
            lengthBytes,
            PoolProtocol.UnitBytes,
            async (regionBytes, end) =>
            {
                var region = await _source.ReserveSharedAsync(regionBytes, end).ConfigureAwait(false);
                token = region.Token;
                return region;
            },
            cancellationToken).ConfigureAwait(false);
        return new SharedLease(lease, new SharedLeaseToken(token, lengthBytes).Format());
    }

    public async ValueTask<SharedLease> OpenSharedAsync(string token, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(token);
        if (!SharedLeaseToken.TryParse(token, out var shared))
        {
            throw new ArgumentException("This is not the token of a shared lease, which is 48 hexadecimal digits: pass SharedLease.Token on as it is.", nameof(token));
        }

        var lease = await RentRegionAsync(
            shared.LengthBytes,
            PoolProtocol.UnitBytes,
            async (regionBytes, end) =>
            {
                var region = await _source.AttachAsync(shared.Lease, end).ConfigureAwait(false);
                if (region.LengthBytes != regionBytes)
                {
                    region.Dispose();
                    throw new ArgumentException("The token's length is not that of its lease: pass SharedLease.Token on as it is.", nameof(token));
                }

                return region;
            },
            cancellationToken).ConfigureAwait(false);
        return new SharedLease(lease, token);
    }
}
