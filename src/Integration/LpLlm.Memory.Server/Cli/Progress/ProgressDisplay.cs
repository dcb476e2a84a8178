using LpLlm.Memory.Models;
using Spectre.Console;

namespace LpLlm.Memory.Daemon.Cli.Progress;

/// <summary>Shows how far something long is: a bar with rate and time left on a terminal, a line now and then elsewhere.</summary>
internal static class ProgressDisplay
{
    public static Task<T> RunAsync<T>(string title, Func<IProgress<SaveProgress>, Task<T>> work) => Console.IsOutputRedirected
        ? work(new PlainProgress(title, Console.Out, TimeProvider.System))
        : AnsiConsole.Progress()
            .AutoClear(true)
            .Columns(
                new TaskDescriptionColumn(),
                new ProgressBarColumn(),
                new PercentageColumn(),
                new DownloadedColumn(),
                new TransferSpeedColumn(),
                new RemainingTimeColumn())
            .StartAsync(context => work(new Bar(context.AddTask(Markup.Escape(title)))));

    private sealed class Bar(ProgressTask task) : IProgress<SaveProgress>
    {
        public void Report(SaveProgress value) => (task.MaxValue, task.Value) = (value.TotalBytes, value.DoneBytes);
    }
}
