namespace LpLlm.Memory.Benchmarks.Workloads.Auditing;

/// <summary>Allocations that found no room.</summary>
/// <param name="Genuine">There was none.</param>
/// <param name="False">There was a free gap as long as the request at that instant.</param>
internal readonly record struct AuditCount(long Genuine, long False)
{
    public static AuditCount operator +(AuditCount one, AuditCount other) => new(one.Genuine + other.Genuine, one.False + other.False);
}
