namespace LpLlm.Memory.Transport.Engine;

/// <summary>What the server wants of a client.</summary>
internal abstract record PoolEvent
{
    /// <summary>Give back as much as this, if it is idle.</summary>
    public sealed record Trim(long LengthBytes) : PoolEvent;

    /// <summary>A lease was taken away: unmap it and release it. Its memory is not reused before.</summary>
    public sealed record Revoked(ulong LeaseId, string Reason) : PoolEvent;

    /// <summary>The server stops. Leases stay usable; new ones need another server or its next start.</summary>
    public sealed record Shutdown(TimeSpan Grace) : PoolEvent;
}
