using LpLlm.Memory.Transport.Grpc.Wire;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>Takes Kestrel's requests: which are gRPC at all, and how the outcome of a call is told.</summary>
/// <param name="calls">Carries them out.</param>
/// <param name="logger">Failures go there that clients are told nothing of.</param>
internal sealed class GrpcApplication(GrpcCalls calls, ILogger logger) : IHttpApplication<HttpContext>
{
    public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    public void DisposeContext(HttpContext context, Exception? exception)
    {
    }

    public async Task ProcessRequestAsync(HttpContext context)
    {
        var (request, response) = (context.Request, context.Response);
        if (!HttpMethods.IsPost(request.Method))
        {
            response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            return;
        }

        if (!GrpcNames.IsGrpc(request.ContentType))
        {
            response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }

        response.ContentType = GrpcNames.ContentType;
        var status = await AnswerAsync(context, context.Features.GetRequiredFeature<GrpcConnection>()).ConfigureAwait(false);
        if (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }

        if (status.Code == (int)PoolFaultCode.Unimplemented && !response.HasStarted)
        {
            response.Headers[GrpcNames.AcceptEncoding] = "identity";
        }

        status.Write((name, value) => Append(response, name, value));
    }

    private static void Append(HttpResponse response, string name, string value)
    {
        // Nothing written yet: headers and trailers are one frame ("trailers-only").
        if (!response.HasStarted && response.BodyWriter is { CanGetUnflushedBytes: true, UnflushedBytes: 0 })
        {
            response.Headers[name] = value;
        }
        else
        {
            response.AppendTrailer(name, value);
        }
    }

    /// <summary>Once the answer is sent.</summary>
    private static void RequestClose(HttpContext context) => context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();

    private async Task<GrpcStatus> AnswerAsync(HttpContext context, GrpcConnection connection)
    {
        if (connection.Refusal is { } refusal)
        {
            RequestClose(context);
            return refusal;
        }

        try
        {
            await calls.RunAsync(context, connection).ConfigureAwait(false);
            return GrpcStatus.Ok;
        }
        catch (PoolFaultException fault)
        {
            if (fault.Code is PoolFaultCode.Unauthenticated)
            {
                RequestClose(context);
            }

            return GrpcStatus.Of(fault);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            return default; // Nobody reads it.
        }
        catch (Exception e)
        {
            GrpcLog.CallFailed(logger, e, context.Request.Path, connection.Peer.Description);
            return GrpcStatus.Of(new PoolFaultException(PoolFaultCode.Internal, "The server failed; its log says how."));
        }
    }
}
