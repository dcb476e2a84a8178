using System.Diagnostics;
using System.Net.Sockets;
using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A server that may have 256 descriptors, in a process of its own.</summary>
public sealed class Row9Tests : IDisposable
{
    private readonly SocketDirectory _directory = new();
    private readonly Process _server;

    public Row9Tests()
    {
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("ulimit -n 256 && exec \"$0\" exec \"$1\" serve \"$2\"");
        start.ArgumentList.Add(Environment.ProcessPath!.EndsWith("dotnet", StringComparison.Ordinal) ? Environment.ProcessPath : "dotnet");
        start.ArgumentList.Add(typeof(Row9Tests).Assembly.Location);
        start.ArgumentList.Add(_directory.EndPoint.AbsoluteUri);
        _server = Process.Start(start)!;
    }

    public void Dispose()
    {
        _server.Kill();
        _server.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Row09_FourHundredConnections_LeaveTheServerAliveAndIdle()
    {
        await ReadAsync("ready");
        await EchoesAsync();
        var flood = new List<Socket>();
        var connecting = new List<Task>();
        for (var i = 0; i < 400; i++)
        {
            flood.Add(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified));
            connecting.Add(flood[^1].ConnectAsync(new UnixDomainSocketEndPoint(_directory.SocketFile)));
        }

        await Task.WhenAll(connecting).DefaultTimeout();

        await StaysIdleAsync();
        flood.ForEach(socket => socket.Dispose());
        await EchoesAsync();
    }

    [Fact]
    public async Task Row09_NoDescriptorLeft_IsWaitedForWithoutSpinning()
    {
        await ReadAsync("ready");

        // Stays open: else its end would free a descriptor for the next one.
        await using var first = await new PipeTransport().ConnectAsync(_directory.EndPoint, default).DefaultTimeout();

        // Twice: making the first error frees descriptors.
        await CommandAsync("hog");
        await CommandAsync("hog");
        using var source = new CancellationTokenSource();
        var connecting = new PipeTransport().ConnectAsync(_directory.EndPoint, source.Token).AsTask();

        await StaysIdleAsync();

        connecting.IsCompleted.Should().BeFalse("{0} {1}", connecting.Status, connecting.Exception);
        await CommandAsync("free");
        await using var channel = await connecting.DefaultTimeout();
        await EchoesAsync();
    }

    /// <summary>Over a second: a loop without back-off takes all of it.</summary>
    private async Task StaysIdleAsync()
    {
        var before = _server.TotalProcessorTime;
        await Task.Delay(1000);
        _server.Refresh();
        _server.HasExited.Should().BeFalse();
        (_server.TotalProcessorTime - before).Should().BeLessThan(TimeSpan.FromSeconds(0.5));
    }

    private async Task CommandAsync(string command)
    {
        await _server.StandardInput.WriteLineAsync(command).DefaultTimeout();
        await _server.StandardInput.FlushAsync().DefaultTimeout();
        await ReadAsync("done");
    }

    private async Task ReadAsync(string line) => (await _server.StandardOutput.ReadLineAsync().DefaultTimeout()).Should().Be(line);

    private async Task EchoesAsync()
    {
        await using var channel = await new PipeTransport().ConnectAsync(_directory.EndPoint, default).DefaultTimeout();
        using var reply = await channel.SendAsync(PoolMethod.Renew, new PoolMessage("x"u8.ToArray()), default).DefaultTimeout();
    }
}
