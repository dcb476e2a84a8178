using System.Reflection;

namespace LpLlm.Memory.Tests.Windows;

/// <summary>The tests of the Windows side: published for Windows, and run by Wine.</summary>
public sealed class WineTests : IDisposable
{
    private static readonly TimeSpan PublishTime = TimeSpan.FromMinutes(4);

    /// <summary>Measured 30 to 60 s on two processors; three times that beside all other tests.</summary>
    private static readonly TimeSpan RunTime = TimeSpan.FromMinutes(5);

    /// <summary>No such package, no such version, no source of packages.</summary>
    private static readonly string[] MissingPackage = ["NU1101", "NU1102", "NU1301"];

    private readonly string _folder = Directory.CreateTempSubdirectory("lpllm-wine-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [SkippableFact]
    public async Task WindowsTests_UnderWine_Pass()
    {
        var wine = WineProgram.Find("wine64");
        var server = WineProgram.Find("wineserver64") ?? WineProgram.Find("wineserver");
        Skip.If(wine is null || server is null, "Wine is not installed: apt-get install wine64.");
        var project = typeof(WineTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == "WindowsTests").Value!;
        var published = await WineProgram.RunAsync(
            "dotnet",
            ["publish", project, "-r", "win-x64", "--self-contained", "-c", "Release", "-v", "quiet", "-nodeReuse:false", "--artifacts-path", _folder],
            _folder,
            PublishTime);
        Skip.If(MissingPackage.Any(published.Output.Contains), $"The runtime for win-x64 cannot be had here: {published.Output}");
        published.ExitCode.Should().Be(0, published.Output);
        var program = Directory.GetFiles(Path.Combine(_folder, "publish"), "LpLlm.Memory.WindowsTests.exe", SearchOption.AllDirectories).Single();

        try
        {
            var run = await WineProgram.RunAsync(wine!, [program, "run"], _folder, RunTime);

            run.ExitCode.Should().Be(0, run.Output);
            run.Output.Should().Contain(" 0 failed");
        }
        finally
        {
            await WineProgram.RunAsync(server!, ["--kill", "--wait"], _folder, RunTime); // what a failed test has left
        }
    }
}
