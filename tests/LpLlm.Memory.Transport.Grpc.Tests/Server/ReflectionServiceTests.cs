using Google.Protobuf;
using Google.Protobuf.Reflection;
using LpLlm.Memory.Transport.Grpc.Messages.Reflection;
using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>What the reflection service answers, on services whose files depend on each other.</summary>
public class ReflectionServiceTests
{
    private const int Requests = 100_000;
    private static readonly string[] Names =
        ["", ".", "top.proto", "low.proto", "a.Top", "a.Top.Call", "a.Request", "a.Request.Part", "a.Request.Kind", "c.Low", "reflection.proto", "a.Request.part", "b.Middle\0"];

    /// <summary>top.proto (package a) depends on middle.proto (b) and low.proto (c); middle.proto on low.proto, too.</summary>
    private static readonly ServiceDescriptor Top = Build();

    [Theory]
    [InlineData("a.Top")]
    [InlineData("a.Top.Call")]
    [InlineData("a.Request")]
    [InlineData("a.Request.Part")]
    [InlineData("a.Request.Kind")]
    public async Task FileContainingSymbol_AnySymbolOfIt_IsTheFileAndThenAllItDependsOnOnce(string symbol)
    {
        var answer = await AskAsync(new ServerReflectionRequest { FileContainingSymbol = symbol });

        NamesOf(answer).Should().HaveElementAt(0, "top.proto").And.BeEquivalentTo("top.proto", "middle.proto", "low.proto");
    }

    [Fact]
    public async Task FileByFilename_OfADependency_IsFoundAsItWasWritten()
    {
        var answer = await AskAsync(new ServerReflectionRequest { FileByFilename = "low.proto" });

        answer.FileDescriptorResponse.FileDescriptorProto.Should().Equal(Top.File.Dependencies[1].SerializedData);
    }

    [Fact]
    public async Task ListServices_ServicesOfOneFile_EachOnceAndItself()
    {
        var service = new ReflectionService([Top, Top]);

        var answer = await AskAsync(new ServerReflectionRequest { ListServices = "*" }, service);

        answer.ListServicesResponse.Service.Select(known => known.Name).Should().Equal("a.Top", "grpc.reflection.v1.ServerReflection");
    }

    [Theory]
    [InlineData("a.Request", true)]
    [InlineData("a.Top", false)]
    [InlineData("a.Nothing", false)]
    public async Task AllExtensionNumbers_OfAMessage_AreNoneAndOfAnythingElseNotFound(string type, bool isMessage)
    {
        var answer = await AskAsync(new ServerReflectionRequest { AllExtensionNumbersOfType = type });

        (answer.AllExtensionNumbersResponse?.BaseTypeName).Should().Be(isMessage ? type : null);
        (answer.ErrorResponse?.ErrorCode).Should().Be(isMessage ? null : (int)PoolFaultCode.NotFound);
    }

    [Fact]
    public async Task Row30_AnyRequest_IsAnsweredOrAnInvalidArgument()
    {
        var random = new Random(1);
        var (answered, refused) = (0, 0);
        var service = new ReflectionService([Top]);
        for (var i = 0; i < Requests; i++)
        {
            var request = Next(random);
            try
            {
                (await AskAsync(request, service)).MessageResponseCase.Should().NotBe(ServerReflectionResponse.MessageResponseOneofCase.None);
                answered++;
            }
            catch (PoolFaultException fault) when (fault.Code is PoolFaultCode.InvalidArgument)
            {
                refused++;
            }
        }

        answered.Should().BeGreaterThan(Requests / 10);
        refused.Should().BeGreaterThan(Requests / 10);
    }

    private static byte[] Next(Random random)
    {
        var name = Names[random.Next(Names.Length)];
        var bytes = (random.Next(6) switch
        {
            0 => new ServerReflectionRequest { FileByFilename = name },
            1 => new ServerReflectionRequest { FileContainingSymbol = name },
            2 => new ServerReflectionRequest { AllExtensionNumbersOfType = name },
            3 => new ServerReflectionRequest { FileContainingExtension = new ExtensionRequest { ContainingType = name, ExtensionNumber = random.Next() } },
            4 => new ServerReflectionRequest { ListServices = name, Host = name },
            _ => new ServerReflectionRequest(),
        }).ToByteArray();
        for (var changes = random.Next(3); changes > 0 && bytes.Length > 0; changes--)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }

        return bytes;
    }

    private static IEnumerable<string> NamesOf(ServerReflectionResponse answer) =>
        answer.FileDescriptorResponse.FileDescriptorProto.Select(file => FileDescriptorProto.Parser.ParseFrom(file).Name);

    private static Task<ServerReflectionResponse> AskAsync(ServerReflectionRequest request) => AskAsync(request, new ReflectionService([Top]));

    private static Task<ServerReflectionResponse> AskAsync(ServerReflectionRequest request, ReflectionService service) => AskAsync(request.ToByteArray(), service);

    private static async Task<ServerReflectionResponse> AskAsync(byte[] request, ReflectionService service)
    {
        using var connection = new GrpcConnection(
            new PoolPeer { Description = "test", Exited = Task.Delay(-1) },
            isVouchedFor: true, pool: null, refusal: null, new PeerBudget(long.MaxValue), new PoolTransportLimits(), TimeProvider.System, static () => { }, default);
        ServerReflectionResponse? answer = null;
        await foreach (var reply in service.Methods.First().Value.Replies(connection, request, default))
        {
            answer.Should().BeNull("a request has one answer");
            answer = ServerReflectionResponse.Parser.ParseFrom(reply.Span);
        }

        return answer!;
    }

    private static ServiceDescriptor Build()
    {
        var low = new FileDescriptorProto { Name = "low.proto", Package = "c", Syntax = "proto3", MessageType = { new DescriptorProto { Name = "Low" } } };
        var middle = new FileDescriptorProto { Name = "middle.proto", Package = "b", Syntax = "proto3", Dependency = { "low.proto" } };
        var request = new DescriptorProto
        {
            Name = "Request",
            NestedType = { new DescriptorProto { Name = "Part" } },
            EnumType = { new EnumDescriptorProto { Name = "Kind", Value = { new EnumValueDescriptorProto { Name = "NONE", Number = 0 } } } },
        };
        var call = new MethodDescriptorProto { Name = "Call", InputType = ".a.Request", OutputType = ".c.Low" };
        var top = new FileDescriptorProto
        {
            Name = "top.proto",
            Package = "a",
            Syntax = "proto3",
            Dependency = { "middle.proto", "low.proto" },
            MessageType = { request },
            Service = { new ServiceDescriptorProto { Name = "Top", Method = { call } } },
        };
        return FileDescriptor.BuildFromByteStrings([low.ToByteString(), middle.ToByteString(), top.ToByteString()])[2].Services[0];
    }
}
