using LpLlm.Memory.TestKit.Replay;

namespace LpLlm.Memory.Tests.Wrappers;

/// <summary>A file of its own for a test's trace.</summary>
internal sealed class TraceFile : IDisposable
{
    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"trace-{Guid.NewGuid():N}.csv");

    public TracingOptions Options => new() { Path = Path };

    public Trace Read() => TraceReader.Read(Path);

    public string[] Lines() => File.ReadAllLines(Path);

    public void Dispose() => File.Delete(Path);
}
