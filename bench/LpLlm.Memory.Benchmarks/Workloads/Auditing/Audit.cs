namespace LpLlm.Memory.Benchmarks.Workloads.Auditing;

/// <summary>Follows a heap with the oracle and counts its failures.</summary>
/// <param name="capacityBytes">The heap's range.</param>
/// <param name="unitBytes">What the heap rounds lengths up to; the rest of a unit is nobody's, not a gap.</param>
internal sealed class Audit(long capacityBytes, long unitBytes)
{
    private readonly GapOracle _oracle = new(capacityBytes);
    private AuditCount _count;

    public void Take(long offset, long lengthBytes) => _oracle.Take(offset, Rounded(lengthBytes));

    public void Return(long offset, long lengthBytes) => _oracle.Return(offset, Rounded(lengthBytes));

    public void Fail(long lengthBytes) =>
        _count += _oracle.LargestGapBytes >= Rounded(lengthBytes) ? new AuditCount(0, 1) : new AuditCount(1, 0);

    /// <summary>The failures since the last call.</summary>
    public AuditCount TakeCount()
    {
        var count = _count;
        _count = default;
        return count;
    }

    private long Rounded(long lengthBytes) => (lengthBytes + unitBytes - 1) / unitBytes * unitBytes;
}
