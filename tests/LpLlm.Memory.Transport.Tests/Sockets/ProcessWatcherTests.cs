using System.Diagnostics;
using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport.Sockets;

public class ProcessWatcherTests
{
    [Fact]
    public async Task WatchAsync_KilledProcess_CompletesAndClosesTheDescriptor()
    {
        using var process = Sleep();
        var file = SocketNative.OpenProcess(process.Id)!;
        var watch = ProcessWatcher.WatchAsync(file, default);
        watch.IsCompleted.Should().BeFalse();

        process.Kill();

        await watch.DefaultTimeout();
        file.IsClosed.Should().BeTrue();
    }

    [Fact]
    public async Task WatchAsync_ProcessThatIsGoneAlready_Completes()
    {
        using var process = Sleep();
        var file = SocketNative.OpenProcess(process.Id)!;
        process.Kill();
        await process.WaitForExitAsync().DefaultTimeout();

        await ProcessWatcher.WatchAsync(file, default).DefaultTimeout();
    }

    [Fact]
    public async Task WatchAsync_Cancelled_ClosesTheDescriptorAndStaysIncomplete()
    {
        using var process = Sleep();
        using var source = new CancellationTokenSource();
        var cancelled = SocketNative.OpenProcess(process.Id)!;
        var watch = ProcessWatcher.WatchAsync(cancelled, source.Token);
        var kept = ProcessWatcher.WatchAsync(SocketNative.OpenProcess(process.Id)!, default);

        await source.CancelAsync();

        cancelled.IsClosed.Should().BeTrue();
        process.Kill();
        await kept.DefaultTimeout();
        watch.IsCompleted.Should().BeFalse();
    }

    [Fact]
    public async Task WatchAsync_ManyProcesses_EachCompletesItsOwn()
    {
        var processes = Enumerable.Range(0, 20).Select(_ => Sleep()).ToArray();
        try
        {
            var watches = processes.Select(process => ProcessWatcher.WatchAsync(SocketNative.OpenProcess(process.Id)!, default)).ToArray();
            for (var i = 0; i < processes.Length; i++)
            {
                watches[i].IsCompleted.Should().BeFalse();
                processes[i].Kill();
                await watches[i].DefaultTimeout();
            }
        }
        finally
        {
            Array.ForEach(processes, process => process.Kill());
            Array.ForEach(processes, process => process.Dispose());
        }
    }

    [Fact]
    public void OpenProcess_ThatDoesNotExist_IsNull() => SocketNative.OpenProcess(int.MaxValue).Should().BeNull();

    private static Process Sleep() => Process.Start("sleep", "60");
}
