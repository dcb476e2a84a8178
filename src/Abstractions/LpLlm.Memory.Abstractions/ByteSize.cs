using System.Globalization;

namespace LpLlm.Memory;

/// <summary>Sizes in text: <c>"2GiB"</c>, <c>"512MB"</c>, <c>"4096"</c>.</summary>
/// <remarks>
/// Every suffix is a power of 1024, with and without the i: this is memory, and the system this project replaces reads
/// <c>GB</c> that way too. Upper and lower case are the same; one space before the suffix is allowed; no sign, no fraction.
/// </remarks>
public static class ByteSize
{
    private static readonly string[] Units = ["", "K", "M", "G", "T", "P"];

    /// <summary>Reads a size.</summary>
    /// <param name="text">Digits, then nothing or one of B, K[i]B, M[i]B, G[i]B, T[i]B, P[i]B.</param>
    /// <param name="bytes">The size in bytes.</param>
    /// <returns><see langword="false"/> when the text is not a size or the size exceeds 2^63 - 1.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, out long bytes)
    {
        bytes = 0;
        var digits = text.IndexOfAnyExceptInRange('0', '9') is var end && end < 0 ? text.Length : end;
        var suffix = text[digits..];
        if (suffix.Length > 1 && suffix[0] == ' ')
        {
            suffix = suffix[1..];
        }

        return TryGetShift(suffix, out var shift)
            && long.TryParse(text[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            && count <= long.MaxValue >> shift
            && (bytes = count << shift) >= 0;
    }

    /// <summary>Reads a size.</summary>
    /// <param name="text">As for <see cref="TryParse"/>.</param>
    /// <returns>The size in bytes.</returns>
    /// <exception cref="FormatException">The text is not a size; the message names it and says what is accepted.</exception>
    public static long Parse(ReadOnlySpan<char> text) => TryParse(text, out var bytes)
        ? bytes
        : throw new FormatException($"'{text}' is not a size: write digits and B, KiB, MiB, GiB, TiB or PiB, for example 2GiB or 512MB.");

    /// <summary>Writes a size for people: the largest unit with a value of at least 1, one decimal where it is not whole.</summary>
    /// <param name="bytes">The size; may be negative.</param>
    public static string Format(long bytes)
    {
        var unit = 0;
        var scale = 1.0;
        while (unit + 1 < Units.Length && Math.Abs((double)bytes) >= scale * 1024)
        {
            scale *= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{bytes / scale:0.#} {Units[unit]}{(unit > 0 ? "iB" : "B")}");
    }

    private static bool TryGetShift(ReadOnlySpan<char> suffix, out int shift)
    {
        for (var unit = 0; unit < Units.Length; unit++)
        {
            shift = 10 * unit;
            if (Is(suffix, Units[unit], "B") || (unit == 0 ? suffix.IsEmpty : Is(suffix, Units[unit], "iB")))
            {
                return true;
            }
        }

        shift = 0;
        return false;
    }

    private static bool Is(ReadOnlySpan<char> suffix, string unit, string tail) =>
        suffix.Length == unit.Length + tail.Length
        && suffix.StartsWith(unit, StringComparison.OrdinalIgnoreCase)
        && suffix.EndsWith(tail, StringComparison.OrdinalIgnoreCase);
}
