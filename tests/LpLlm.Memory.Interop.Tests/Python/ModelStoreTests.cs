using System.Globalization;
using System.Reflection;

namespace LpLlm.Memory.Transport.Grpc.Python;

/// <summary>Debian's python3-grpcio against the model store of a real <c>sllm-store</c>.</summary>
public sealed class ModelStoreTests : IDisposable
{
    private const int LengthBytes = 5_000_001;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("interop-models-");

    private static string Program { get; } = typeof(ModelStoreTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "StoreProgram").Value!;

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>One alone, whose loads must all succeed; then four at a time, two of them on the same model.</summary>
    [SkippableFact]
    public async Task U2_U3_U8_U9_RegisterLoadConfirmUnloadClear_WhileOthersDoTheSame()
    {
        await PythonClient.RequireAsync();
        Add("a");
        Add("b");
        using var daemon = new ForeignProgram(
            "/usr/bin/env", "/",
            "dotnet", Program, "start", "--socket", Path.Combine(_folder.FullName, "pool.sock"), "--port", "0", "--pool-memory-size", "4MB",
            "--mem-pool-size", "64MB", "--chunk-size", "2MB", "--storage-path", _folder.FullName);
        var ready = await daemon.ReadLineAsync();
        var target = ready.Split(' ').Single(part => part.StartsWith("grpc://", StringComparison.Ordinal))["grpc://".Length..];

        (await RunAsync(target, "a", "3", "alone")).Should().Contain("models passed");
        var outputs = await Task.WhenAll(RunAsync(target, "a", "10"), RunAsync(target, "a", "10"), RunAsync(target, "b", "10"), RunAsync(target, "b", "10"));

        outputs.Should().OnlyContain(output => output.Contains("models passed"));
    }

    private static Task<string> RunAsync(string target, string model, params string[] arguments) =>
        PythonClient.RunAsync("models.py", [target, model, LengthBytes.ToString(CultureInfo.InvariantCulture), .. arguments]);

    private void Add(string model)
    {
        var folder = _folder.CreateSubdirectory(model).FullName;
        var data = new byte[LengthBytes];
        new Random(1).NextBytes(data);
        File.WriteAllBytes(Path.Combine(folder, "tensor.data_0"), data);
        File.WriteAllText(Path.Combine(folder, "tensor_index.json"), "{}");
    }
}
