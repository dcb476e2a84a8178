using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.TestKit;

/// <summary>Keeps what is logged; also usable as a provider in a host.</summary>
public sealed class CollectingLogger : ILogger, ILoggerProvider
{
    private readonly ConcurrentQueue<(LogLevel Level, int Id, string Message)> _entries = new();

    public IReadOnlyCollection<(LogLevel Level, int Id, string Message)> Entries => _entries;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _entries.Enqueue((logLevel, eventId.Id, formatter(state, exception)));

    public ILogger CreateLogger(string categoryName) => this;

    public void Dispose()
    {
    }
}
