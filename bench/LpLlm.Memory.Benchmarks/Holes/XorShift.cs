namespace LpLlm.Memory.Benchmarks.Holes;

/// <summary>Marsaglia's generator: a nanosecond a number, the same sequence in every run.</summary>
internal struct XorShift(uint seed)
{
    private uint _state = seed;

    /// <summary>A number below the limit.</summary>
    public int Next(int limit)
    {
        _state ^= _state << 13;
        _state ^= _state >> 17;
        _state ^= _state << 5;
        return (int)(((ulong)_state * (uint)limit) >> 32);
    }
}
