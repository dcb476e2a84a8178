using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using FluentAssertions;
using LpLlm.Memory.Transport;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>What every <see cref="PoolTransport"/> must do. Inherit it and say how to create one.</summary>
public abstract class PoolTransportContract
{
    private const int KiB = 1 << 10;

    /// <summary>Limits under which these tests run, unless a test says otherwise.</summary>
    protected static PoolTransportLimits Limits { get; } = new() { MaxMessageBytes = 64 * KiB };

    /// <summary>A transport that serves.</summary>
    protected abstract PoolTransport CreateServerTransport(PoolTransportLimits limits);

    /// <summary>A transport that reaches what <paramref name="server"/> serves; it may be the same object.</summary>
    protected abstract PoolTransport CreateClientTransport(PoolTransport server, PoolTransportLimits limits);

    /// <summary>An end point at which nobody has listened yet; with port 0 where there are ports.</summary>
    protected abstract Uri CreateEndPoint();

    /// <summary>Whether a channel knows at once that its connection is lost; one that connects anew by itself does not tell.</summary>
    protected virtual bool TellsLoss => true;

    /// <summary>Every call with one reply.</summary>
    public static TheoryData<PoolMethod> UnaryMethods()
    {
        var methods = new TheoryData<PoolMethod>();
        foreach (var method in Enum.GetValues<PoolMethod>().Where(method => method is not PoolMethod.Watch))
        {
            methods.Add(method);
        }

        return methods;
    }

    [Theory]
    [MemberData(nameof(UnaryMethods))]
    public async Task SendAsync_EveryMethod_ReachesTheHandlerAndComesBack(PoolMethod method)
    {
        await using var run = await StartAsync();
        run.Handler.OnCall = (called, request, _) =>
            ValueTask.FromResult(new PoolMessage(new[] { (byte)called }.Concat(request.Payload.ToArray()).ToArray()));

        using var reply = await run.Channel.SendAsync(method, Text("grüße"), default).DefaultTimeout();

        reply.Payload.ToArray().Should().Equal([(byte)method, .. "grüße"u8]);
        reply.Files.Should().BeEmpty();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4095)]
    [InlineData(4096)]
    [InlineData(64 * KiB)]
    public async Task SendAsync_AnyLengthUpToTheLargest_Echoes(int lengthBytes)
    {
        await using var run = await StartAsync();
        var bytes = RandomBytes(lengthBytes);

        using var reply = await run.Channel.SendAsync(PoolMethod.List, new PoolMessage(bytes), default).DefaultTimeout();

        reply.Payload.ToArray().Should().Equal(bytes);
    }

    [Fact]
    public async Task SendAsync_MethodThatHasNoSingleReply_ThrowsAndSendsNothing()
    {
        await using var run = await StartAsync();

        foreach (var method in new[] { PoolMethod.Watch, (PoolMethod)0, (PoolMethod)99 })
        {
            await run.Channel.Awaiting(c => c.SendAsync(method, Text(""), default).AsTask()).Should().ThrowAsync<ArgumentOutOfRangeException>();
        }

        await EchoesAsync(run.Channel);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(64 * KiB)]
    public async Task SendAsync_LongerThanTheLargest_IsRefusedAndTheConnectionLives(int excessBytes)
    {
        await using var run = await StartAsync();
        var tooLong = new PoolMessage(new byte[Limits.MaxMessageBytes + excessBytes]);

        var fault = await FaultOfAsync(run.Channel.SendAsync(PoolMethod.List, tooLong, default));

        fault.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        fault.Message.Should().Contain("MaxMessageBytes");
        await EchoesAsync(run.Channel);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(64 * KiB)]
    public async Task SendAsync_LongerThanTheServerTakes_IsRefusedAndTheConnectionLives(int excessBytes)
    {
        await using var run = await StartAsync(clientLimits: Limits with { MaxMessageBytes = 1024 * KiB });
        var tooLong = new PoolMessage(new byte[Limits.MaxMessageBytes + excessBytes]);

        var fault = await FaultOfAsync(run.Channel.SendAsync(PoolMethod.List, tooLong, default));

        fault.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        await EchoesAsync(run.Channel);
    }

    [Fact]
    public async Task SendAsync_ReplyLongerThanTheLargest_IsAFaultAndTheConnectionLives()
    {
        await using var run = await StartAsync();
        run.Handler.OnCall = (method, request, _) =>
            ValueTask.FromResult(method is PoolMethod.List ? new PoolMessage(new byte[Limits.MaxMessageBytes + 1]) : new PoolMessage(request.Payload));

        (await FaultOfAsync(run.Channel.SendAsync(PoolMethod.List, Text(""), default))).Code.Should().Be(PoolFaultCode.ResourceExhausted);
        await EchoesAsync(run.Channel);
    }

    [Fact]
    public async Task SendAsync_HandlerThrowsAFault_ComesBackWithCodeTextAndData()
    {
        await using var run = await StartAsync();
        foreach (var code in Enum.GetValues<PoolFaultCode>())
        {
            var thrown = new PoolFaultException(code, "Kein Platz: 100 % von 4 GiB\nbelegt 🐧", RandomBytes(4096));
            run.Handler.OnCall = (_, _, _) => throw thrown;

            var fault = await FaultOfAsync(run.Channel.SendAsync(PoolMethod.Acquire, Text(""), default));

            fault.Code.Should().Be(code);
            fault.Message.Should().Be(thrown.Message);
            fault.Data.ToArray().Should().Equal(thrown.Data.ToArray());
        }
    }

    [Theory]
    [InlineData("x")]
    [InlineData("é")]
    [InlineData("x🐧")]
    public async Task SendAsync_FaultWithALongText_IsCutAndArrives(string unit)
    {
        await using var run = await StartAsync();
        var text = string.Concat(Enumerable.Repeat(unit, 20_000));
        run.Handler.OnCall = (_, _, _) => throw new PoolFaultException(PoolFaultCode.Aborted, text, RandomBytes(5000));

        var fault = await FaultOfAsync(run.Channel.SendAsync(PoolMethod.Acquire, Text(""), default));

        fault.Code.Should().Be(PoolFaultCode.Aborted);
        fault.Message.Length.Should().BeInRange(340, 4096, "a transport may have room for 4096 places, of which a character takes up to twelve");
        text.Should().StartWith(fault.Message);
        fault.Data.Length.Should().Be(0, "half of the data could not be decoded");
    }

    [Fact]
    public async Task SendAsync_HandlerFails_IsInternalWithoutDetails()
    {
        await using var run = await StartAsync();
        run.Handler.OnCall = async (_, _, _) =>
        {
            await Task.Yield();
            throw new InvalidOperationException("secret of the server");
        };

        var fault = await FaultOfAsync(run.Channel.SendAsync(PoolMethod.Acquire, Text(""), default));

        fault.Code.Should().Be(PoolFaultCode.Internal);
        fault.Message.Should().NotContain("secret");
        run.Handler.OnCall = null;
        await EchoesAsync(run.Channel);
    }

    [Fact]
    public async Task SendAsync_ManyAtATimeOnManyConnections_EachGetsItsOwnReply()
    {
        await using var run = await StartAsync();
        run.Handler.OnCall = async (_, request, _) =>
        {
            if (request.Payload.Span[0] % 3 == 0)
            {
                await Task.Yield();
            }

            return new PoolMessage(request.Payload);
        };
        var channels = new List<PoolChannel>();
        for (var i = 0; i < 4; i++)
        {
            channels.Add(await run.ConnectAsync());
        }

        await Task.WhenAll(Enumerable.Range(0, 32).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 50; i++)
            {
                var bytes = new byte[random.Next(1, 3000)];
                random.NextBytes(bytes);
                using var reply = await channels[worker % channels.Count].SendAsync(PoolMethod.Grow, new PoolMessage(bytes), default);
                reply.Payload.Span.SequenceEqual(bytes).Should().BeTrue();
            }
        }))).DefaultTimeout();
    }

    [Fact]
    public async Task SendAsync_SlowCall_DoesNotHoldUpLaterOnes()
    {
        await using var run = await StartAsync();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        run.Handler.OnCall = async (method, request, _) =>
        {
            if (method is PoolMethod.Acquire)
            {
                await release.Task;
            }

            return new PoolMessage(request.Payload);
        };
        var slow = run.Channel.SendAsync(PoolMethod.Acquire, Text("slow"), default).AsTask();

        await EchoesAsync(run.Channel);

        slow.IsCompleted.Should().BeFalse();
        release.SetResult();
        using var reply = await slow.DefaultTimeout();
        reply.Payload.ToArray().Should().Equal("slow"u8.ToArray());
    }

    [Fact]
    public async Task SendAsync_MoreCallsThanAConnectionMayHave_AreRefusedUntilOneEnds()
    {
        await using var run = await StartAsync(Limits with { MaxCallsPerConnection = 3 });
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = 0;
        run.Handler.OnCall = async (method, request, _) =>
        {
            if (method is PoolMethod.Acquire)
            {
                Interlocked.Increment(ref running);
                await release.Task;
            }

            return new PoolMessage(request.Payload);
        };
        var calls = Enumerable.Range(0, 3).Select(_ => run.Channel.SendAsync(PoolMethod.Acquire, Text("x"), default).AsTask()).ToArray();
        await TestTimeouts.UntilAsync(() => Volatile.Read(ref running) == 3);

        var fault = await FaultOfAsync(run.Channel.SendAsync(PoolMethod.Renew, Text(""), default));

        fault.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        fault.Message.Should().Contain("MaxCallsPerConnection");
        release.SetResult();
        await Task.WhenAll(calls).DefaultTimeout();
        await EchoesAsync(run.Channel);
    }

    [Fact]
    public async Task SendAsync_FasterThanTheRate_IsSlowedDownNotRefused()
    {
        await using var run = await StartAsync(Limits with { MaxRequestsPerSecond = 100 });
        var started = TimeProvider.System.GetTimestamp();

        for (var i = 0; i < 150; i++)
        {
            await EchoesAsync(run.Channel);
        }

        TimeProvider.System.GetElapsedTime(started).Should().BeGreaterThan(TimeSpan.FromSeconds(0.4), "a burst of 100 is free, the next 50 take 10 ms each");
    }

    [Fact]
    public async Task SendAsync_Cancelled_ReachesTheHandler()
    {
        await using var run = await StartAsync();
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        run.Handler.OnCall = async (method, request, token) =>
        {
            if (method is PoolMethod.Acquire)
            {
                started.SetResult();
                await Task.Delay(Timeout.Infinite, token).ContinueWith(_ => cancelled.SetResult(), TaskScheduler.Default);
            }

            return new PoolMessage(request.Payload);
        };
        using var source = new CancellationTokenSource();
        var call = run.Channel.SendAsync(PoolMethod.Acquire, Text(""), source.Token).AsTask();
        await started.Task.DefaultTimeout();

        await source.CancelAsync();

        await FluentActions.Awaiting(() => call.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        await cancelled.Task.DefaultTimeout();
        await EchoesAsync(run.Channel);
    }

    [Fact]
    public async Task SendAsync_CancelledBefore_DoesNotReachTheHandler()
    {
        await using var run = await StartAsync();

        await FluentActions.Awaiting(() => run.Channel.SendAsync(PoolMethod.Acquire, Text(""), new CancellationToken(canceled: true)).DefaultTimeout())
            .Should().ThrowAsync<OperationCanceledException>();

        await EchoesAsync(run.Channel);
        run.Handler.Calls.Should().NotContain(PoolMethod.Acquire);
    }

    [Fact]
    public async Task SendAsync_CancelledWhileTheHandlerDoesNotHeed_ReturnsAndDropsTheLateReplyWithItsFiles()
    {
        await using var run = await StartAsync();
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var file = OpenFile();
        run.Handler.OnCall = async (method, request, _) =>
        {
            if (method is not PoolMethod.Acquire)
            {
                return new PoolMessage(request.Payload);
            }

            started.TrySetResult();
            await release.Task;
            return run.Channel.PassesFiles ? new PoolMessage(request.Payload, file, file, file) : new PoolMessage(request.Payload);
        };
        await EchoesAsync(run.Channel);
        var before = CountOpenFiles();
        using var source = new CancellationTokenSource();
        var call = run.Channel.SendAsync(PoolMethod.Acquire, Text("late"), source.Token).AsTask();
        await started.Task.DefaultTimeout();
        await source.CancelAsync();
        await FluentActions.Awaiting(() => call.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();

        release.SetResult();

        await EchoesAsync(run.Channel);
        await TestTimeouts.UntilAsync(() => CountOpenFiles() <= before);
    }

    [Fact]
    public async Task WatchAsync_ManyEvents_ArriveInOrderUntilTheServerEndsTheStream()
    {
        await using var run = await StartAsync();
        run.Handler.OnWatch = (request, _) => Numbers(500, request);

        var events = await ReadAsync(run.Channel.WatchAsync(Text("w"), default)).DefaultTimeout();

        events.Should().Equal(Enumerable.Range(0, 500).Select(i => $"w{i}"));
        await EchoesAsync(run.Channel);
    }

    [Fact]
    public async Task WatchAsync_NoEventYet_CallsGoOn()
    {
        await using var run = await StartAsync();
        using var source = new CancellationTokenSource();
        run.Handler.OnWatch = (_, token) => OneThenNothing(token);
        await using var events = run.Channel.WatchAsync(Text(""), source.Token).GetAsyncEnumerator();
        (await events.MoveNextAsync().DefaultTimeout()).Should().BeTrue();
        var next = events.MoveNextAsync().AsTask();

        await EchoesAsync(run.Channel);

        next.IsCompleted.Should().BeFalse();
        await source.CancelAsync();
        await FluentActions.Awaiting(() => next.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task WatchAsync_ClientLeaves_FiresTheHandlersToken()
    {
        await using var run = await StartAsync();
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        run.Handler.OnWatch = (_, token) => OneThenNothing(token, ended);

        await foreach (var next in run.Channel.WatchAsync(Text(""), default))
        {
            next.Dispose();
            break;
        }

        await ended.Task.DefaultTimeout();
        await EchoesAsync(run.Channel);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task WatchAsync_FaultInTheMiddle_ComesAfterTheEventsBeforeIt(int before)
    {
        await using var run = await StartAsync();
        run.Handler.OnWatch = (request, _) => Numbers(before, request, new PoolFaultException(PoolFaultCode.NotFound, "gone", new byte[] { 7 }));
        var seen = 0;

        var act = async () =>
        {
            await foreach (var next in run.Channel.WatchAsync(Text(""), default))
            {
                next.Dispose();
                seen++;
            }
        };

        var fault = (await act.Invoking(a => a().DefaultTimeout()).Should().ThrowAsync<PoolFaultException>()).Which;
        seen.Should().Be(before);
        fault.Code.Should().Be(PoolFaultCode.NotFound);
        fault.Message.Should().Be("gone");
        fault.Data.ToArray().Should().Equal(7);
        await EchoesAsync(run.Channel);
    }

    [Fact]
    public async Task WatchAsync_HandlerFails_IsInternalWithoutDetails()
    {
        await using var run = await StartAsync();
        run.Handler.OnWatch = (request, _) => Numbers(1, request, new InvalidOperationException("secret of the server"));

        var fault = (await FluentActions.Awaiting(() => ReadAsync(run.Channel.WatchAsync(Text(""), default)).DefaultTimeout())
            .Should().ThrowAsync<PoolFaultException>()).Which;

        fault.Code.Should().Be(PoolFaultCode.Internal);
        fault.Message.Should().NotContain("secret");
    }

    [Fact]
    public async Task DisposeAsync_OfTheChannel_FailsItsCallsAndTellsTheServerOnce()
    {
        await using var run = await StartAsync();
        var call = await run.StartStuckCallAsync();
        var watch = ReadAsync(run.Channel.WatchAsync(Text(""), default));

        await run.Channel.DisposeAsync().DefaultTimeout();

        run.Channel.Closed.IsCancellationRequested.Should().BeTrue();
        await FluentActions.Awaiting(() => call.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        await FluentActions.Awaiting(() => watch.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        await FluentActions.Awaiting(() => run.Channel.SendAsync(PoolMethod.List, Text(""), default).DefaultTimeout())
            .Should().ThrowAsync<PoolServerUnavailableException>();
        await TestTimeouts.UntilAsync(() => run.Handler.ClosedCount == 1);
        run.Handler.ClosedBeforeTokens.Should().Be(0);
        await run.Channel.DisposeAsync().DefaultTimeout();
        await run.Listener.DisposeAsync().DefaultTimeout();
        run.Handler.ClosedCount.Should().Be(1);
    }

    [Fact]
    public async Task DisposeAsync_OfTheListener_FailsItsCallsAndClosesAllConnections()
    {
        await using var run = await StartAsync();
        var second = await run.ConnectAsync();
        await EchoesAsync(second);
        var call = await run.StartStuckCallAsync();

        await run.Listener.DisposeAsync().DefaultTimeout();

        await FluentActions.Awaiting(() => call.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        run.Handler.ClosedCount.Should().Be(2);
        run.Handler.ClosedBeforeTokens.Should().Be(0);
        if (TellsLoss)
        {
            await TestTimeouts.UntilAsync(() => run.Channel.Closed.IsCancellationRequested && second.Closed.IsCancellationRequested);
        }

        await FluentActions.Awaiting(() => second.SendAsync(PoolMethod.List, Text(""), default).DefaultTimeout())
            .Should().ThrowAsync<PoolServerUnavailableException>();
        await FluentActions.Awaiting(() => ConnectAndSendAsync(run.ClientTransport, run.Listener.EndPoint)).Should().ThrowAsync<PoolServerUnavailableException>();
        await run.Listener.DisposeAsync().DefaultTimeout();
    }

    [Fact]
    public async Task DisposeAsync_OfTheListener_LetsTheEndPointBeServedAgain()
    {
        await using var run = await StartAsync();
        await run.Listener.DisposeAsync().DefaultTimeout();

        await using var next = await run.ServerTransport.BindAsync(run.Listener.EndPoint, new Handler(), default).DefaultTimeout();

        await using var channel = await run.ClientTransport.ConnectAsync(next.EndPoint, default).DefaultTimeout();
        await EchoesAsync(channel);
    }

    [Fact]
    public async Task StopAcceptingAsync_RefusesNewConnectionsAndKeepsThoseThere()
    {
        await using var run = await StartAsync();
        await EchoesAsync(run.Channel);

        await run.Listener.StopAcceptingAsync().DefaultTimeout();

        await FluentActions.Awaiting(() => ConnectAndSendAsync(run.ClientTransport, run.Listener.EndPoint)).Should().ThrowAsync<PoolServerUnavailableException>();
        await EchoesAsync(run.Channel);
        await run.Listener.StopAcceptingAsync().DefaultTimeout();
    }

    [Fact]
    public async Task ConnectAsync_HandlerRefuses_IsItsFault()
    {
        await using var run = await StartAsync();
        run.Handler.OnAccept = _ => throw new PoolFaultException(PoolFaultCode.PermissionDenied, "user 1234 is not welcome", new byte[] { 1, 2 });

        var fault = (await FluentActions.Awaiting(() => ConnectAndSendAsync(run.ClientTransport, run.Listener.EndPoint)).Should().ThrowAsync<PoolFaultException>()).Which;

        fault.Code.Should().Be(PoolFaultCode.PermissionDenied);
        fault.Message.Should().Be("user 1234 is not welcome");
        run.Handler.OnAccept = null;
        await EchoesAsync(await run.ConnectAsync());
    }

    [Fact]
    public async Task ConnectAsync_HandlerFailsToAccept_IsInternalWithoutDetails()
    {
        await using var run = await StartAsync();
        run.Handler.OnAccept = _ => throw new InvalidOperationException("secret of the server");

        var fault = (await FluentActions.Awaiting(() => ConnectAndSendAsync(run.ClientTransport, run.Listener.EndPoint)).Should().ThrowAsync<PoolFaultException>()).Which;

        fault.Code.Should().Be(PoolFaultCode.Internal);
        fault.Message.Should().NotContain("secret");
    }

    [Fact]
    public async Task ConnectAsync_NobodyListens_IsUnavailable()
    {
        await using var run = await StartAsync();
        await run.Listener.DisposeAsync().DefaultTimeout();

        var error = (await FluentActions.Awaiting(() => ConnectAndSendAsync(run.ClientTransport, run.Listener.EndPoint))
            .Should().ThrowAsync<PoolServerUnavailableException>()).Which;

        error.IsTransient.Should().BeTrue();
        error.EndPoint.Should().NotBeEmpty();
    }

    [Fact]
    public async Task ConnectAsync_Cancelled_Throws()
    {
        await using var run = await StartAsync();

        await run.ClientTransport.Awaiting(t => t.ConnectAsync(run.Listener.EndPoint, new CancellationToken(canceled: true)).DefaultTimeout())
            .Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task ConnectAsync_AndBindAsync_EndPointOfAnotherScheme_Throw()
    {
        await using var run = await StartAsync();
        var foreign = new Uri("gopher://host/path");

        await run.ClientTransport.Awaiting(t => t.ConnectAsync(foreign, default).AsTask()).Should().ThrowAsync<ArgumentException>();
        await run.ServerTransport.Awaiting(t => t.BindAsync(foreign, new Handler(), default).AsTask()).Should().ThrowAsync<ArgumentException>();
    }

    [Fact]
    public async Task BindAsync_WhereAnotherListens_ThrowsAndTheFirstGoesOn()
    {
        await using var run = await StartAsync();

        await run.ServerTransport.Awaiting(t => t.BindAsync(run.Listener.EndPoint, new Handler(), default).DefaultTimeout())
            .Should().ThrowAsync<InvalidOperationException>();

        await EchoesAsync(await run.ConnectAsync());
    }

    [Fact]
    public async Task ConnectAsync_MoreThanTheServerTakes_WaitUntilOneEnds()
    {
        await using var run = await StartAsync(Limits with { MaxConnections = 2 });
        await EchoesAsync(run.Channel);
        var second = await run.ConnectAsync();
        await EchoesAsync(second);
        var third = ConnectAndSendAsync(run.ClientTransport, run.Listener.EndPoint);
        await EchoesAsync(second);
        third.IsCompleted.Should().BeFalse();
        run.Handler.AcceptedCount.Should().Be(2);

        await second.DisposeAsync().DefaultTimeout();

        await third.DefaultTimeout();
        run.Handler.AcceptedCount.Should().Be(3);
    }

    [Fact]
    public async Task EndPoint_OfTheListener_IsTheOneToConnectTo()
    {
        await using var run = await StartAsync();

        run.Listener.EndPoint.Scheme.Should().Be(run.ServerTransport.Scheme);
        run.Listener.EndPoint.Port.Should().NotBe(0);
        run.Channel.EndPoint.Should().Be(run.Listener.EndPoint);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(253)]
    [InlineData(254)]
    [InlineData(600)]
    public async Task SendAsync_WithFiles_PassesThemInOrderBothWaysOrRefuses(int count)
    {
        await using var run = await StartAsync();
        run.Handler.OnCall = (_, request, _) =>
        {
            var received = request.TakeFiles();
            run.Handler.Received.AddRange(received);
            return ValueTask.FromResult(new PoolMessage(request.Payload, received.AsEnumerable().Reverse().ToArray()));
        };
        using (await run.Channel.SendAsync(PoolMethod.Renew, Text("warm up"), default).DefaultTimeout())
        {
        }

        var before = CountOpenFiles();
        var files = Enumerable.Range(0, count).Select(_ => OpenFile()).ToArray();
        for (var i = 0; i < count; i++)
        {
            RandomAccess.Write(files[i], BitConverter.GetBytes(i), 0);
        }

        var request = new PoolMessage(RandomBytes(1000), files);
        if (!run.Channel.PassesFiles && count > 0)
        {
            (await FaultOfAsync(run.Channel.SendAsync(PoolMethod.Restore, request, default))).Code.Should().Be(PoolFaultCode.Unimplemented);
            await EchoesAsync(run.Channel);
            request.Dispose();
            return;
        }

        using (var reply = await run.Channel.SendAsync(PoolMethod.Restore, request, default).DefaultTimeout())
        {
            reply.Payload.ToArray().Should().Equal(request.Payload.ToArray());
            reply.Files.Select(Number).Should().Equal(Enumerable.Range(0, count).Reverse());
            reply.Files.Intersect(files).Should().BeEmpty();
        }

        files.Should().NotContain(file => file.IsClosed, "a sender keeps its descriptors");
        run.Handler.Received.Should().NotContain(file => file.IsClosed, "they are the handler's");
        request.Dispose();
        run.Handler.Received.ForEach(file => file.Dispose());
        await TestTimeouts.UntilAsync(() => CountOpenFiles() <= before);
    }

    [Fact]
    public async Task WatchAsync_EventsWithFiles_PassThem()
    {
        await using var run = await StartAsync();
        if (!run.Channel.PassesFiles)
        {
            return;
        }

        using var file = OpenFile();
        RandomAccess.Write(file, BitConverter.GetBytes(4711), 0);
        run.Handler.OnWatch = (_, _) => Files(file);

        await foreach (var next in run.Channel.WatchAsync(Text(""), default))
        {
            using (next)
            {
                Number(next.Files.Should().ContainSingle().Which).Should().Be(4711);
            }
        }
    }

    [Fact]
    public async Task SendAsync_ReplyWithAClosedFile_IsAFaultAndTheConnectionLives()
    {
        await using var run = await StartAsync();
        var closed = OpenFile();
        closed.Dispose();
        run.Handler.OnCall = (method, request, _) =>
            ValueTask.FromResult(method is PoolMethod.List ? new PoolMessage(request.Payload, closed) : new PoolMessage(request.Payload));

        var fault = await FaultOfAsync(run.Channel.SendAsync(PoolMethod.List, Text(""), default));

        fault.Code.Should().BeOneOf(PoolFaultCode.Internal, PoolFaultCode.Unimplemented);
        await EchoesAsync(run.Channel);
    }

    [Theory]
    [InlineData(HeldReply.Sent)]
    [InlineData(HeldReply.TooLong)]
    [InlineData(HeldReply.WithAClosedFile)]
    [InlineData(HeldReply.Late)]
    public async Task SendAsync_ReplyWithAHold_DisposesItOnce(HeldReply kind)
    {
        await using var run = await StartAsync();
        var hold = new CountingHold();
        var closed = OpenFile();
        closed.Dispose();
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        run.Handler.OnCall = async (method, request, _) =>
        {
            if (method is not PoolMethod.Acquire)
            {
                return new PoolMessage(request.Payload);
            }

            started.SetResult();
            await (kind is HeldReply.Late ? release.Task : Task.CompletedTask);
            return new PoolMessage(
                kind is HeldReply.TooLong ? new byte[Limits.MaxMessageBytes + 1] : request.Payload,
                kind is HeldReply.WithAClosedFile ? [closed] : [])
            { Hold = hold };
        };
        using var source = new CancellationTokenSource();
        var call = run.Channel.SendAsync(PoolMethod.Acquire, Text("held"), source.Token).AsTask();
        await started.Task.DefaultTimeout();
        if (kind is HeldReply.Late)
        {
            await source.CancelAsync();
            await FluentActions.Awaiting(() => call.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
            await run.Channel.DisposeAsync().DefaultTimeout();
            hold.Disposals.Should().Be(0);
            release.SetResult();
        }
        else if (kind is HeldReply.Sent)
        {
            (await call.DefaultTimeout()).Dispose();
        }
        else
        {
            await FaultOfAsync(new ValueTask<PoolMessage>(call));
        }

        await TestTimeouts.UntilAsync(() => hold.Disposals > 0);
        hold.Disposals.Should().Be(1);
    }

    [Fact]
    public async Task WatchAsync_EventsWithHolds_DisposesEach()
    {
        await using var run = await StartAsync();
        var holds = Enumerable.Range(0, 20).Select(_ => new CountingHold()).ToArray();
        run.Handler.OnWatch = (_, _) => Held(holds);

        await FluentActions.Awaiting(() => ReadAsync(run.Channel.WatchAsync(Text(""), default)).DefaultTimeout()).Should().ThrowAsync<PoolFaultException>("the last is too long");

        await TestTimeouts.UntilAsync(() => holds.All(hold => hold.Disposals == 1));
    }

    /// <summary>A server with one client.</summary>
    private async Task<Run> StartAsync(PoolTransportLimits? limits = null, PoolTransportLimits? clientLimits = null)
    {
        var server = CreateServerTransport(limits ?? Limits);
        var client = CreateClientTransport(server, clientLimits ?? limits ?? Limits);
        var handler = new Handler();
        var listener = await server.BindAsync(CreateEndPoint(), handler, default).DefaultTimeout();
        var run = new Run(server, client, listener, handler);
        await run.ConnectAsync();
        return run;
    }

    private static async Task ConnectAndSendAsync(PoolTransport transport, Uri endPoint)
    {
        await using var channel = await transport.ConnectAsync(endPoint, default).DefaultTimeout();
        await EchoesAsync(channel);
    }

    private static async Task EchoesAsync(PoolChannel channel)
    {
        using var reply = await channel.SendAsync(PoolMethod.Renew, Text("still there"), default).DefaultTimeout();
        reply.Payload.ToArray().Should().Equal("still there"u8.ToArray());
    }

    private static async Task<PoolFaultException> FaultOfAsync(ValueTask<PoolMessage> call) =>
        (await FluentActions.Awaiting(() => call.DefaultTimeout()).Should().ThrowAsync<PoolFaultException>()).Which;

    private static async Task<List<string>> ReadAsync(IAsyncEnumerable<PoolMessage> events)
    {
        var texts = new List<string>();
        await foreach (var next in events)
        {
            using (next)
            {
                texts.Add(Encoding.UTF8.GetString(next.Payload.Span));
            }
        }

        return texts;
    }

    private static async IAsyncEnumerable<PoolMessage> Numbers(int count, PoolMessage request, Exception? end = null)
    {
        var prefix = Encoding.UTF8.GetString(request.Payload.Span);
        for (var i = 0; i < count; i++)
        {
            if (i % 7 == 0)
            {
                await Task.Yield();
            }

            yield return Text($"{prefix}{i}");
        }

        if (end is not null)
        {
            throw end;
        }
    }

    private static async IAsyncEnumerable<PoolMessage> OneThenNothing([EnumeratorCancellation] CancellationToken token, TaskCompletionSource? ended = null)
    {
        yield return Text("first");
        try
        {
            await Task.Delay(Timeout.Infinite, token);
        }
        finally
        {
            ended?.TrySetResult();
        }
    }

    private static async IAsyncEnumerable<PoolMessage> Files(SafeFileHandle file)
    {
        await Task.Yield();
        yield return new PoolMessage("file"u8.ToArray(), file);
    }

    /// <summary>The last is too long.</summary>
    private static async IAsyncEnumerable<PoolMessage> Held(CountingHold[] holds)
    {
        foreach (var hold in holds)
        {
            await Task.Yield();
            yield return new PoolMessage(new byte[hold == holds[^1] ? Limits.MaxMessageBytes + 1 : 1]) { Hold = hold };
        }
    }

    private static PoolMessage Text(string text) => new(Encoding.UTF8.GetBytes(text));

    private static byte[] RandomBytes(int lengthBytes)
    {
        var bytes = new byte[lengthBytes];
        new Random(lengthBytes).NextBytes(bytes);
        return bytes;
    }

    /// <summary>A descriptor of a file without a name.</summary>
    private static SafeFileHandle OpenFile()
    {
        // In memory, where there is such a folder: transports may pass no other files.
        var path = Directory.Exists("/dev/shm") ? Path.Combine("/dev/shm", Path.GetRandomFileName()) : Path.GetTempFileName();
        File.WriteAllBytes(path, []);
        return File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, FileOptions.DeleteOnClose);
    }

    private static int Number(SafeFileHandle file)
    {
        Span<byte> bytes = stackalloc byte[4];
        RandomAccess.Read(file, bytes, 0).Should().Be(4);
        return BitConverter.ToInt32(bytes);
    }

    /// <summary>Descriptors of files that the tests open: others come and go with the test host.</summary>
    private static int CountOpenFiles()
    {
        if (!OperatingSystem.IsLinux())
        {
            return 0;
        }

        var count = 0;
        foreach (var link in new DirectoryInfo("/proc/self/fd").EnumerateFileSystemInfos())
        {
            count += link.LinkTarget?.StartsWith(Path.GetTempPath() + "tmp", StringComparison.Ordinal) == true ? 1 : 0;
        }

        return count;
    }

    /// <summary>What becomes of a reply whose <see cref="PoolMessage.Hold"/> has to be disposed in any case.</summary>
    public enum HeldReply
    {
        /// <summary>It arrives.</summary>
        Sent,

        /// <summary>It is longer than a message may be.</summary>
        TooLong,

        /// <summary>Its descriptor is closed already.</summary>
        WithAClosedFile,

        /// <summary>Its caller has cancelled and disconnected.</summary>
        Late,
    }

    private sealed class CountingHold : IDisposable
    {
        private int _disposals;

        public int Disposals => Volatile.Read(ref _disposals);

        public void Dispose() => Interlocked.Increment(ref _disposals);
    }

    private sealed class Run(PoolTransport server, PoolTransport client, PoolListener listener, Handler handler) : IAsyncDisposable
    {
        private readonly List<PoolChannel> _channels = [];

        public PoolTransport ServerTransport => server;

        public PoolTransport ClientTransport => client;

        public PoolListener Listener => listener;

        public Handler Handler => handler;

        public PoolChannel Channel => _channels[0];

        public async Task<PoolChannel> ConnectAsync()
        {
            var channel = await client.ConnectAsync(listener.EndPoint, default).DefaultTimeout();
            _channels.Add(channel);
            return channel;
        }

        /// <summary>A call on the first channel that runs until its token fires.</summary>
        public async Task<Task> StartStuckCallAsync()
        {
            var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            handler.OnCall = async (method, request, token) =>
            {
                if (method is PoolMethod.Acquire)
                {
                    started.SetResult();
                    await Task.Delay(Timeout.Infinite, token);
                }

                return new PoolMessage(request.Payload);
            };
            var call = Channel.SendAsync(PoolMethod.Acquire, Text(""), default).AsTask();
            await started.Task.DefaultTimeout();
            return call;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var channel in _channels)
            {
                await channel.DisposeAsync().DefaultTimeout();
            }

            await listener.DisposeAsync().DefaultTimeout();
        }
    }

    /// <summary>Echoes, unless told otherwise.</summary>
    private sealed class Handler : IPoolConnectionHandler
    {
        private int _acceptedCount;
        private int _closedCount;
        private int _closedBeforeTokens;

        public Func<PoolMethod, PoolMessage, CancellationToken, ValueTask<PoolMessage>>? OnCall { get; set; }

        public Func<PoolMessage, CancellationToken, IAsyncEnumerable<PoolMessage>>? OnWatch { get; set; }

        public Action<PoolPeer>? OnAccept { get; set; }

        public ConcurrentQueue<PoolMethod> Calls { get; } = new();

        public List<SafeFileHandle> Received { get; } = [];

        public int AcceptedCount => Volatile.Read(ref _acceptedCount);

        public int ClosedCount => Volatile.Read(ref _closedCount);

        /// <summary>Calls whose token had not fired when their connection was closed.</summary>
        public int ClosedBeforeTokens => Volatile.Read(ref _closedBeforeTokens);

        public IPoolConnection Accept(PoolPeer peer)
        {
            peer.Description.Should().NotBeEmpty();
            OnAccept?.Invoke(peer);
            Interlocked.Increment(ref _acceptedCount);
            return new Connection(this);
        }

        private sealed class Connection(Handler handler) : IPoolConnection
        {
            private readonly ConcurrentDictionary<object, CancellationToken> _running = new();

            public async ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
            {
                var key = new object();
                _running[key] = cancellationToken;
                handler.Calls.Enqueue(method);
                try
                {
                    using (request)
                    {
                        return handler.OnCall is { } call ? await call(method, request, cancellationToken) : new PoolMessage(request.Payload);
                    }
                }
                finally
                {
                    _running.TryRemove(key, out _);
                }
            }

            public IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken) =>
                handler.OnWatch is { } watch ? watch(request, cancellationToken) : OneThenNothing(cancellationToken);

            public void Closed()
            {
                Interlocked.Add(ref handler._closedBeforeTokens, _running.Values.Count(token => !token.IsCancellationRequested));
                Interlocked.Increment(ref handler._closedCount);
            }
        }
    }
}
