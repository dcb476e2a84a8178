namespace LpLlm.Memory.Samples.Generate.Numerics;

/// <summary>Rotary position embedding in the rotate-half convention: element i turns together with element i + head / 2.</summary>
/// <remarks>The angles of a block are computed once and serve every head of every layer. Not thread-safe.</remarks>
internal sealed class RotaryEmbedding
{
    private readonly int _headDim;
    private readonly float[] _frequencies;
    private readonly float[] _cos;
    private readonly float[] _sin;

    public RotaryEmbedding(int headDim, float theta, int maxTokenCount)
    {
        _headDim = headDim;
        _frequencies = new float[headDim / 2];
        for (var i = 0; i < _frequencies.Length; i++)
        {
            _frequencies[i] = 1 / MathF.Pow(theta, 2f * i / headDim);
        }

        _cos = new float[maxTokenCount * _frequencies.Length];
        _sin = new float[_cos.Length];
    }

    /// <summary>Chooses the positions of the block that <see cref="Apply"/> turns.</summary>
    public void SetPositions(int firstPosition, int tokenCount)
    {
        var half = _frequencies.Length;
        for (var i = 0; i < tokenCount * half; i++)
        {
            (_sin[i], _cos[i]) = MathF.SinCos((firstPosition + (i / half)) * _frequencies[i % half]);
        }
    }

    /// <summary>Turns queries or keys <c>[tokens, heads, head dimension]</c> in place.</summary>
    public void Apply(Span<float> vectors, int headCount)
    {
        var half = _frequencies.Length;
        for (var start = 0; start < vectors.Length; start += _headDim)
        {
            var angles = start / _headDim / headCount * half;
            var low = vectors.Slice(start, half);
            var high = vectors.Slice(start + half, half);
            for (var i = 0; i < half; i++)
            {
                var (cos, sin) = (_cos[angles + i], _sin[angles + i]);
                (low[i], high[i]) = ((low[i] * cos) - (high[i] * sin), (high[i] * cos) + (low[i] * sin));
            }
        }
    }
}
