namespace LpLlm.Memory.Transport.Grpc;

/// <summary>@grpc/grpc-js against the server. Its packages come from npm's registry, into the test's own folder.</summary>
public sealed class NodeTests : IDisposable
{
    private const string Program = "/usr/bin/node";
    private const string Installer = "/usr/bin/npm";
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Node");
    private static readonly Lazy<Task<string?>> Obstacle = new(PrepareAsync);
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("interop");

    public void Dispose() => _directory.Delete(recursive: true);

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task StorageContractHealthAndReflection_WorkFromNode(bool unix)
    {
        var obstacle = await Obstacle.Value;
        Skip.If(obstacle is not null, obstacle);
        await using var server = unix ? await StorageServer.StartAsync($"grpc+unix://{_directory.FullName}/pool.sock") : await StorageServer.StartAsync();
        var target = unix ? $"unix:{server.EndPoint.AbsolutePath}" : server.EndPoint.Authority;

        (await ForeignProgram.RunAsync(Program, Folder, "calls.js", target, Path.Combine(AppContext.BaseDirectory, "Protos"))).Should().Contain("node passed");
    }

    private static async Task<string?> PrepareAsync()
    {
        if (!File.Exists(Program) || !File.Exists(Installer))
        {
            return $"{Program} or {Installer} is missing.";
        }

        if (Directory.Exists(Path.Combine(Folder, "node_modules", "@grpc", "proto-loader")))
        {
            return null;
        }

        try
        {
            await ForeignProgram.RunAsync(Installer, Folder, "install", "--no-audit", "--no-fund", "--loglevel=error");
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or TimeoutException)
        {
            return $"npm install failed: {e.Message}";
        }
    }
}
