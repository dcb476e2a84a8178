using System.Globalization;

namespace LpLlm.Memory;

/// <summary>Options of tracing a pool to a file that <c>bench replay</c> plays against any pool.</summary>
public sealed class TracingOptions
{
    private const int LeastEvents = 1 << 10;
    private const int MostEvents = 1 << 24;
    private const long LeastBytes = 4096;

    /// <summary>
    /// The CSV file, one for each pool; its directory must exist. An older trace of that name is overwritten. Required.
    /// </summary>
    public string Path { get; set; } = "";

    /// <summary>
    /// Tracing stops, with a warning, before the file is longer than that: an event takes about 45 B, so a busy pool writes tens of MB/s.
    /// Default 1 GiB, at least 4 KiB.
    /// </summary>
    public long MaxBytes { get; set; } = 1L << 30;

    /// <summary>
    /// Events that may wait for the writer, 64 B each; a power of two from 1,024 to 16,777,216. Default 65,536. Rents never wait for
    /// the file: what finds the buffer full is lost and counted, and a trace with losses says so and cannot be replayed.
    /// </summary>
    public int BufferedEventCount { get; set; } = 1 << 16;

    internal void Validate(ICollection<string> errors)
    {
        if (string.IsNullOrWhiteSpace(Path))
        {
            errors.Add($"{nameof(Path)} is '{Path}'; it must name the file to write.");
        }

        if (MaxBytes < LeastBytes)
        {
            errors.Add(string.Create(CultureInfo.InvariantCulture, $"{nameof(MaxBytes)} is {MaxBytes}; it must be at least {LeastBytes}."));
        }

        if (BufferedEventCount is < LeastEvents or > MostEvents || !int.IsPow2(BufferedEventCount))
        {
            errors.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{nameof(BufferedEventCount)} is {BufferedEventCount}; it must be a power of two from {LeastEvents} to {MostEvents}."));
        }
    }
}
