using System.Globalization;
using LpLlm.Memory.Models;

namespace LpLlm.Memory.Daemon.Cli.Progress;

/// <summary>Writes a line every few seconds, for logs.</summary>
internal sealed class PlainProgress(string title, TextWriter output, TimeProvider time) : IProgress<SaveProgress>
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly long _started = time.GetTimestamp();
    private TimeSpan _next = Interval;

    public void Report(SaveProgress value)
    {
        var elapsed = time.GetElapsedTime(_started);
        if (elapsed < _next || value.DoneBytes == 0)
        {
            return;
        }

        _next = elapsed + Interval;
        var rate = value.DoneBytes / elapsed.TotalSeconds;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{title}: {100.0 * value.DoneBytes / value.TotalBytes:0} %, {ByteSize.Format(value.DoneBytes)} of {ByteSize.Format(value.TotalBytes)}, "
            + $"{rate / 1e9:0.00} GB/s, {(value.TotalBytes - value.DoneBytes) / rate:0} s left"));
    }
}
