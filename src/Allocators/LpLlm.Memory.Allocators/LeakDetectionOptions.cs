using System.Globalization;

namespace LpLlm.Memory;

/// <summary>Options of leak detection. A diagnostic tool: it makes each rent some 40 µs slower (its stack), and a return as slow as writing the block.</summary>
public sealed class LeakDetectionOptions
{
    private const int UnitBytes = 256;
    private const long MaxGuardBytes = 1 << 20;

    /// <summary>Keeps the stacks of rents and returns for the reports; some 40 µs each. Default true.</summary>
    public bool CaptureStacks { get; set; } = true;

    /// <summary>
    /// Bytes before and behind each lease that nobody may write, checked when it is returned. They come from the pool: a rent takes twice as
    /// many more, and one with an alignment above 256 B takes the alignment more. A multiple of 256 B from 0 (none) to 1 MiB. Default 256 B.
    /// Must be 0 around a fixed-block pool, whose block length would never fit. A hybrid pool serves a rent from the size class that the guards
    /// fit into too, or none: with guards, 4,096 B need blocks of 4,608 B.
    /// </summary>
    public long GuardBytes { get; set; } = UnitBytes;

    /// <summary>
    /// Overwrites returned memory with 0xDD, behind a fence once that has completed, so that whoever reads it later sees that. Default true.
    /// </summary>
    public bool PoisonOnReturn { get; set; } = true;

    /// <summary>
    /// Returned memory that is kept back for a while, so that it is noticed (with <see cref="PoisonOnReturn"/>) when somebody still writes to it.
    /// Counted as cached; given up at once for a rent that would fail. It moves other leases to other places, though: a pool that is used to its
    /// last bytes may fragment differently. Memory returned behind a fence that has not completed is not kept back.
    /// From 0 (none). Default 16 MiB.
    /// </summary>
    public long QuarantineBytes { get; set; } = 16L << 20;

    internal void Validate(ICollection<string> errors)
    {
        if (GuardBytes is < 0 or > MaxGuardBytes || GuardBytes % UnitBytes != 0)
        {
            errors.Add(string.Create(
                CultureInfo.InvariantCulture, $"{nameof(GuardBytes)} is {GuardBytes}; it must be a multiple of {UnitBytes} from 0 to {MaxGuardBytes}."));
        }

        if (QuarantineBytes < 0)
        {
            errors.Add(string.Create(CultureInfo.InvariantCulture, $"{nameof(QuarantineBytes)} is {QuarantineBytes}; it must be at least 0."));
        }
    }
}
