using System.Collections.Concurrent;
using System.Diagnostics;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace LpLlm.Memory.Running;

/// <summary>Runs this assembly's tests one by one and prints each, where neither an SDK nor a test host is installed.</summary>
internal static class AssemblyRun
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(8);

    public static async Task<int> RunAsync(IReadOnlyList<string> texts)
    {
        using var ended = new Messages();
        using var framework = new XunitTestFramework(new NullMessageSink());
        var assembly = typeof(AssemblyRun).Assembly;
        using var discoverer = framework.GetDiscoverer(Reflector.Wrap(assembly));
        discoverer.Find(includeSourceInformation: false, ended, new FrameworkOptions());
        await ended.Discovered.WaitAsync(Deadline);
        var cases = ended.Cases.Where(each => texts.Count == 0 || texts.Any(text => each.DisplayName.Contains(text, StringComparison.Ordinal))).ToList();
        using var executor = framework.GetExecutor(assembly.GetName());
        var started = Stopwatch.GetTimestamp();
        executor.RunTests(cases, ended, new FrameworkOptions());
        await ended.Finished.WaitAsync(Deadline);
        Console.WriteLine(
            $"{ended.Passed} passed, {ended.Failed} failed, {ended.Skipped} skipped of {cases.Count}, in {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s");
        return ended.Failed > 0 || ended.Passed + ended.Skipped == 0 ? 1 : 0;
    }

    private sealed class Messages : LongLivedMarshalByRefObject, IMessageSink, IDisposable
    {
        private readonly TaskCompletionSource _discovered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ConcurrentQueue<ITestCase> Cases { get; } = new();

        public Task Discovered => _discovered.Task;

        public Task Finished => _finished.Task;

        public int Passed { get; private set; }

        public int Failed { get; private set; }

        public int Skipped { get; private set; }

        public bool OnMessage(IMessageSinkMessage message)
        {
            switch (message)
            {
                case ITestCaseDiscoveryMessage found:
                    Cases.Enqueue(found.TestCase);
                    break;
                case IDiscoveryCompleteMessage:
                    _discovered.TrySetResult();
                    break;
                case ITestPassed passed:
                    Passed++;
                    Print("passed ", passed);
                    break;
                case ITestSkipped skipped:
                    Skipped++;
                    Console.WriteLine($"skipped {skipped.Test.DisplayName}: {skipped.Reason}");
                    break;
                case ITestFailed failed:
                    Failed++;
                    Print("FAILED ", failed, Text(failed));
                    break;
                case IErrorMessage error:
                    Failed++;
                    Console.WriteLine($"FAILED  {Text(error)}");
                    break;
                case ITestClassCleanupFailure error:
                    Failed++;
                    Console.WriteLine($"FAILED  {error.TestClass.Class.Name}: {Text(error)}");
                    break;
                case ITestAssemblyFinished:
                    _finished.TrySetResult();
                    break;
            }

            return true;
        }

        public void Dispose()
        {
        }

        private static string Text(IFailureInformation failure) =>
            string.Join('\n', failure.Messages.Zip(failure.StackTraces, (text, stack) => $"{text}\n{stack}"));

        private static void Print(string outcome, ITestResultMessage result, string? text = null)
        {
            Console.WriteLine($"{outcome} {result.Test.DisplayName} [{result.ExecutionTime * 1000:0} ms]");
            foreach (var more in new[] { text, result.Output }.Where(more => !string.IsNullOrWhiteSpace(more)))
            {
                Console.WriteLine(more!.TrimEnd());
            }
        }
    }
}
