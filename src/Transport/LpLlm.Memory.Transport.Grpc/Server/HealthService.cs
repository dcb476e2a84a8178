using System.Runtime.CompilerServices;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using LpLlm.Memory.Transport.Grpc.Messages;
using LpLlm.Memory.Transport.Grpc.Wire;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary><c>grpc.health.v1.Health</c>: whether the listener still takes connections. Also what a client connects by.</summary>
/// <param name="services">The services it can be asked about; the empty name is the server as a whole.</param>
/// <param name="stopping">Fires when the listener takes no further connections.</param>
internal sealed class HealthService(IReadOnlySet<string> services, CancellationToken stopping) : IGrpcService
{
    public ServiceDescriptor Descriptor => HealthReflection.Descriptor.Services[0];

    public IEnumerable<KeyValuePair<string, GrpcMethod>> Methods =>
    [
        new($"/{GrpcNames.HealthService}/Check", GrpcMethod.Unary(HealthCheckRequest.Parser, (_, request, _) => ValueTask.FromResult(Check(request)))),
        new($"/{GrpcNames.HealthService}/Watch", new GrpcMethod((_, request, token) => WatchAsync(request, token), IsStream: true)),
    ];

    private HealthCheckResponse Check(HealthCheckRequest request) => Knows(request.Service)
        ? new HealthCheckResponse { Status = Status }
        : throw new PoolFaultException(PoolFaultCode.NotFound, $"There is no service '{request.Service}' here.");

    private HealthCheckResponse.Types.ServingStatus Status => stopping.IsCancellationRequested
        ? HealthCheckResponse.Types.ServingStatus.NotServing
        : HealthCheckResponse.Types.ServingStatus.Serving;

    /// <summary>The state now and each change of it; for an unknown service too, as its specification says.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<byte>> WatchAsync(
        ReadOnlyMemory<byte> request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var known = Knows(GrpcMethod.Parse(HealthCheckRequest.Parser, request).Service);
        while (true)
        {
            var status = known ? Status : HealthCheckResponse.Types.ServingStatus.ServiceUnknown;
            yield return new HealthCheckResponse { Status = status }.ToByteArray();

            // There is one change at most: from serving to not serving.
            var isLast = status is not HealthCheckResponse.Types.ServingStatus.Serving;
            using var change = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, isLast ? default : stopping);
            await Task.Delay(Timeout.InfiniteTimeSpan, change.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private bool Knows(string service) => service.Length == 0 || services.Contains(service);
}
