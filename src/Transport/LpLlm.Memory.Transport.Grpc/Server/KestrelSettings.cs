using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>Kestrel's limits, every one: its defaults are those of web sites, not of sessions that last for days.</summary>
internal static class KestrelSettings
{
    /// <summary>A silent peer is asked after this long, and has as long to answer: a dead host is noticed within 20 s.</summary>
    private static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Pings end dead peers; idle ones may stay. Kestrel's "infinite" overflows: such a connection ends at the next heartbeat once it is idle.
    /// </summary>
    private static readonly TimeSpan LongestIdleTime = TimeSpan.FromDays(365);

    /// <summary>Kestrel counts streams, this transport calls: the difference is room to refuse a call with a text.</summary>
    private const int SpareStreams = 32;

    /// <summary>A reply waits in Kestrel up to that length, for each call.</summary>
    public const int ReplyBufferBytes = 64 << 10;

    private const int LeastWindowBytes = 64 << 10; // HTTP/2's own, and the least that Kestrel takes
    private const int MostBufferBytes = 1 << 20;
    private const long AllBuffersBytes = 128L << 20;

    /// <summary>
    /// What a connection can make Kestrel hold before <see cref="GrpcCalls"/> has looked at it, twice: bytes from the socket, and parts of messages
    /// (HTTP/2's window). All connections together 256 MiB, as much as the budget of requests; from 1024 of them on 256 KiB each.
    /// </summary>
    public static int BufferBytes(int maxConnections) => (int)Math.Clamp(AllBuffersBytes / maxConnections, 2 * LeastWindowBytes, MostBufferBytes);

    public static IOptions<KestrelServerOptions> Create(
        PoolTransportLimits limits, int maxConnections, EndPoint endPoint, Func<ConnectionContext, ConnectionDelegate, Task> connection)
    {
        var bufferBytes = BufferBytes(maxConnections);
        var options = new KestrelServerOptions { AddServerHeader = false, AllowSynchronousIO = false };
        options.Limits.MaxConcurrentConnections = null;             // AcceptGate counts, before accept.
        options.Limits.MaxRequestBodySize = null;                   // GrpcFrame checks each message by its header.
        options.Limits.MinRequestBodyDataRate = null;               // It ends the whole connection; ReadTimeout ends the call.
        options.Limits.MinResponseDataRate = new MinDataRate(240, LongerThanHeartbeat(limits.ReadTimeout));
        options.Limits.MaxRequestBufferSize = bufferBytes;
        options.Limits.MaxResponseBufferSize = ReplyBufferBytes;
        options.Limits.MaxRequestHeadersTotalSize = 16 << 10;
        options.Limits.MaxRequestHeaderCount = 64;
        options.Limits.KeepAliveTimeout = LongestIdleTime;
        options.Limits.RequestHeadersTimeout = limits.ReadTimeout;
        options.Limits.Http2.KeepAlivePingDelay = PingInterval;
        options.Limits.Http2.KeepAlivePingTimeout = PingInterval;
        options.Limits.Http2.MaxStreamsPerConnection = limits.MaxCallsPerConnection + SpareStreams;
        options.Limits.Http2.InitialConnectionWindowSize = bufferBytes;
        options.Limits.Http2.InitialStreamWindowSize = Math.Max(LeastWindowBytes, bufferBytes / 4 * 3); // room for other calls beside one that stalls
        options.Limits.Http2.MaxFrameSize = 16 << 10;
        options.Limits.Http2.MaxRequestHeaderFieldSize = 16 << 10;
        options.Listen(endPoint, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.Use(next => context => connection(context, next));
        });
        return Options.Create(options);
    }

    /// <summary>Kestrel looks once a second.</summary>
    private static TimeSpan LongerThanHeartbeat(TimeSpan time) => time > TimeSpan.FromSeconds(2) ? time : TimeSpan.FromSeconds(2);
}
