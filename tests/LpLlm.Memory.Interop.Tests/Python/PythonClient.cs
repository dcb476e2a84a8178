namespace LpLlm.Memory.Transport.Grpc.Python;

/// <summary>Debian's python3-grpcio, with messages made from our .proto files by its own generator.</summary>
internal static class PythonClient
{
    private const string Program = "/usr/bin/python3";
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Python");

    /// <summary>Why it cannot run here, or null. Makes its messages.</summary>
    private static readonly Lazy<Task<string?>> Obstacle = new(PrepareAsync);

    public static async Task RequireAsync()
    {
        var obstacle = await Obstacle.Value;
        Skip.If(obstacle is not null, obstacle);
    }

    /// <summary>Runs a script to its end; it fails by an exception, which fails the test with its traceback.</summary>
    public static async Task<string> RunAsync(string script, params IEnumerable<string> arguments)
    {
        await RequireAsync();
        return await ForeignProgram.RunAsync(Program, Folder, ["-B", script, .. arguments]);
    }

    public static async Task<ForeignProgram> StartAsync(string script, params IEnumerable<string> arguments)
    {
        await RequireAsync();
        return new ForeignProgram(Program, Folder, ["-B", "-u", script, .. arguments]);
    }

    private static async Task<string?> PrepareAsync()
    {
        if (!File.Exists(Program))
        {
            return $"{Program} is missing.";
        }

        try
        {
            await ForeignProgram.RunAsync(Program, Folder, "-c", "import grpc, grpc_tools");
        }
        catch (InvalidOperationException)
        {
            return "The packages python3-grpcio and python3-grpc-tools are missing.";
        }

        var protos = Path.Combine(AppContext.BaseDirectory, "Protos");
        await ForeignProgram.RunAsync(
            Program, Folder, "-m", "grpc_tools.protoc", $"-I{protos}", "--python_out=.", "--grpc_python_out=.", "storage.proto", "health.proto", "pool.proto", "reflection.proto");
        return null;
    }
}
