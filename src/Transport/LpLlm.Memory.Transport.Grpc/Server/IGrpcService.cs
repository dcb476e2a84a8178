using Google.Protobuf.Reflection;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>Calls that a listener hosts beside others. One that is <see cref="IAsyncDisposable"/> is disposed with the listener.</summary>
internal interface IGrpcService
{
    /// <summary>The service, as its .proto file has it.</summary>
    ServiceDescriptor Descriptor { get; }

    /// <summary>By path: <c>/package.Service/Method</c>.</summary>
    IEnumerable<KeyValuePair<string, GrpcMethod>> Methods { get; }
}
