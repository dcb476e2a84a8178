namespace LpLlm.Memory.TestKit.Replay;

/// <summary>A file is not a trace, or not one that can be replayed.</summary>
/// <param name="path">The file.</param>
/// <param name="line">Line, from 1.</param>
/// <param name="column">Column (field), from 1.</param>
/// <param name="problem">What is wrong there.</param>
public sealed class TraceFormatException(string path, int line, int column, string problem)
    : FormatException($"{path}, line {line}, column {column}: {problem}")
{
    public int Line { get; } = line;

    public int Column { get; } = column;
}
