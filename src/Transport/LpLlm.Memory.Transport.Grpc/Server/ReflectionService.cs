using Google.Protobuf.Reflection;
using LpLlm.Memory.Transport.Grpc.Messages.Reflection;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary><c>grpc.reflection.v1.ServerReflection</c>: what a listener hosts, for tools that have no .proto files (grpcurl, Postman).</summary>
/// <remarks>None of our messages has extensions: all questions for some are answered "not found" or with an empty list.</remarks>
internal sealed class ReflectionService : IGrpcService
{
    /// <summary>Its name before it was stable, with the same messages: older tools know no other. It is not listed.</summary>
    private const string OldName = "grpc.reflection.v1alpha.ServerReflection";

    private readonly string[] _services;
    private readonly Dictionary<string, FileDescriptor> _files;
    private readonly Dictionary<string, IDescriptor> _symbols;

    /// <param name="services">What it tells of, beside itself.</param>
    public ReflectionService(IEnumerable<ServiceDescriptor> services)
    {
        var all = services.Append(Descriptor).Distinct().ToArray();
        _services = [.. all.Select(static service => service.FullName).Order(StringComparer.Ordinal)];
        _files = all.SelectMany(static service => WithDependencies(service.File)).Distinct().ToDictionary(static file => file.Name, StringComparer.Ordinal);
        _symbols = _files.Values.SelectMany(Symbols).ToDictionary(static symbol => symbol.FullName, StringComparer.Ordinal);
    }

    public ServiceDescriptor Descriptor => ReflectionReflection.Descriptor.Services[0];

    public IEnumerable<KeyValuePair<string, GrpcMethod>> Methods
    {
        get
        {
            var answer = GrpcMethod.Unary(ServerReflectionRequest.Parser, (_, request, _) => ValueTask.FromResult(Answer(request)));
            foreach (var name in (string[])[Descriptor.FullName, OldName])
            {
                yield return new($"/{name}/{Descriptor.Methods[0].Name}", answer with { IsStream = true, TakesMany = true });
            }
        }
    }

    private static IEnumerable<FileDescriptor> WithDependencies(FileDescriptor file) => file.Dependencies.SelectMany(WithDependencies).Prepend(file).Distinct();

    private static IEnumerable<IDescriptor> Symbols(FileDescriptor file) =>
    [
        .. file.Services,
        .. file.Services.SelectMany(static service => service.Methods),
        .. file.EnumTypes,
        .. file.MessageTypes.SelectMany(WithNested),
    ];

    private static IEnumerable<IDescriptor> WithNested(MessageDescriptor message) =>
        [message, .. message.EnumTypes, .. message.NestedTypes.SelectMany(WithNested)];

    private ServerReflectionResponse Answer(ServerReflectionRequest request)
    {
        var response = new ServerReflectionResponse { ValidHost = request.Host, OriginalRequest = request };
        switch (request.MessageRequestCase)
        {
            case ServerReflectionRequest.MessageRequestOneofCase.ListServices:
                response.ListServicesResponse = new ListServiceResponse { Service = { _services.Select(static name => new ServiceResponse { Name = name }) } };
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileByFilename when _files.TryGetValue(request.FileByFilename, out var file):
                response.FileDescriptorResponse = Describe(file);
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol when _symbols.TryGetValue(request.FileContainingSymbol, out var symbol):
                response.FileDescriptorResponse = Describe(symbol.File);
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType
                when _symbols.GetValueOrDefault(request.AllExtensionNumbersOfType) is MessageDescriptor:
                response.AllExtensionNumbersResponse = new ExtensionNumberResponse { BaseTypeName = request.AllExtensionNumbersOfType };
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.None:
                response.ErrorResponse = Error(PoolFaultCode.InvalidArgument, "The request asks nothing that this server knows. Set one field of message_request.");
                break;
            default:
                // The name stands in original_request.
                response.ErrorResponse = Error(PoolFaultCode.NotFound, "There is nothing of that name here. list_services tells what there is.");
                break;
        }

        return response;
    }

    private static ErrorResponse Error(PoolFaultCode code, string text) => new() { ErrorCode = (int)code, ErrorMessage = text };

    /// <summary>The file that was asked for comes first, as tools expect.</summary>
    private static FileDescriptorResponse Describe(FileDescriptor file) =>
        new() { FileDescriptorProto = { WithDependencies(file).Select(static part => part.SerializedData) } };
}
