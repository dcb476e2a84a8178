namespace LpLlm.Memory.Models;

/// <summary>Where in memory a range of a model lies.</summary>
internal sealed class ExtentMap
{
    private readonly IReadOnlyList<MemoryExtent> _extents;
    private readonly long[] _starts;

    public ExtentMap(IReadOnlyList<MemoryExtent> extents)
    {
        _extents = extents;
        _starts = new long[extents.Count];
        for (var i = 1; i < extents.Count; i++)
        {
            _starts[i] = _starts[i - 1] + extents[i - 1].LengthBytes;
        }
    }

    /// <summary>Bytes of all extents together.</summary>
    public long LengthBytes => _starts.Length == 0 ? 0 : _starts[^1] + _extents[^1].LengthBytes;

    /// <summary>The contiguous parts of a range, in order.</summary>
    public IEnumerable<MemoryExtent> Slice(long offsetBytes, long lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, LengthBytes - offsetBytes);
        var found = Array.BinarySearch(_starts, offsetBytes);
        for (var i = found >= 0 ? found : ~found - 1; lengthBytes > 0; i++)
        {
            var within = offsetBytes - _starts[i];
            var part = Math.Min(lengthBytes, _extents[i].LengthBytes - within);
            yield return new MemoryExtent((nint)(_extents[i].Address + within), part);
            offsetBytes += part;
            lengthBytes -= part;
        }
    }
}
