using LpLlm.Memory.Daemon.Cli;

namespace LpLlm.Memory.Tests;

/// <summary>The options of the original's <c>start</c>, with its names, defaults and strictness.</summary>
public class CommandLineTests
{
    private const long MiB = 1 << 20;

    private readonly CommandLine _commandLine = new();

    [Fact]
    public void Start_NoOptions_HasTheOriginalsDefaults()
    {
        var options = Parse();

        options.ThreadCount.Should().Be(4);
        options.MemPoolBytes.Should().Be(4096 * MiB);
        options.DiskBytes.Should().Be(128L << 30);
        options.RegistrationRequired.Should().BeFalse();
        (options.Host, options.Port, options.ChunkBytes, options.PoolMemoryBytes).Should().Be((null, null, null, null));
        (StartOptions.DefaultHost, StartOptions.DefaultPort).Should().Be(("127.0.0.1", 8073));
        (StartOptions.DefaultChunkBytes, StartOptions.DefaultPoolMemoryBytes).Should().Be((32 * MiB, 2048 * MiB));
    }

    [Fact]
    public void Start_AllOptions_AreRead()
    {
        var options = Parse(
            "--host", "::1", "--port", "0", "--storage-path", "/models", "--num-thread", "8", "--chunk-size", "64MB", "--mem-pool-size", "1GB",
            "--disk-size", "0B", "--registration-required", "Yes", "--pool-memory-size", "3GB", "--socket", "@x.sock", "--config", "c.json");

        options.Should().Be(new StartOptions
        {
            Host = "::1",
            Port = 0,
            StoragePath = "/models",
            ThreadCount = 8,
            ChunkBytes = 64 * MiB,
            MemPoolBytes = 1024 * MiB,
            DiskBytes = 0,
            RegistrationRequired = true,
            PoolMemoryBytes = 3072 * MiB,
            SocketPath = "@x.sock",
            ConfigFile = "c.json",
        });
    }

    [Theory]
    [InlineData("True", true)]
    [InlineData("1", true)]
    [InlineData("yes", true)]
    [InlineData("ON", true)]
    [InlineData("t", true)]
    [InlineData("y", true)]
    [InlineData("False", false)]
    [InlineData("0", false)]
    [InlineData("no", false)]
    [InlineData("off", false)]
    [InlineData("F", false)]
    [InlineData("n", false)]
    public void Start_RegistrationRequired_TakesTheOriginalsWords(string text, bool expected) =>
        Parse("--registration-required", text).RegistrationRequired.Should().Be(expected);

    [Theory]
    [InlineData("Invalid format", "--chunk-size", "32mb")]
    [InlineData("Invalid format", "--mem-pool-size", "4")]
    [InlineData("Invalid format", "--disk-size", "-1GB")]
    [InlineData("Invalid format", "--pool-memory-size", "2 GB")]
    [InlineData("Invalid mem_pool_size", "--mem-pool-size", "0B")]
    [InlineData("Invalid pool_memory_size", "--pool-memory-size", "0B")]
    [InlineData("Invalid chunk_size", "--chunk-size", "0B")]
    [InlineData("1208925818405703355091546825293824", "--pool-memory-size", "999999999YB")]
    [InlineData("--num-thread is '0'", "--num-thread", "0")]
    [InlineData("--num-thread is '-1'", "--num-thread", "-1")]
    [InlineData("--port is '65536'", "--port", "65536")]
    [InlineData("--port is 'http'", "--port", "http")]
    [InlineData("'maybe'", "--registration-required", "maybe")]
    [InlineData("--registration-required", "--registration-required")]
    [InlineData("--num-threads", "--num-threads", "4")]
    public void Start_BadValue_IsAUsageErrorThatNamesIt(string message, params string[] arguments)
    {
        var result = _commandLine.Parse(["start", .. arguments]);

        string.Join('\n', result.Errors.Select(error => error.Message)).Should().Contain(message);
    }

    [Theory]
    [InlineData()]
    [InlineData("release")]
    [InlineData("release", "-1")]
    [InlineData("release", "all")]
    [InlineData("stop")]
    [InlineData("start", "now")]
    public void Parse_WrongCommand_IsAUsageError(params string[] arguments) => _commandLine.Parse(arguments).Errors.Should().NotBeEmpty();

    [Fact]
    public void Start_StoragePath_ExpandsTheHomeFolder() =>
        Parse("--storage-path", "~/m").StoragePath.Should().Be(
            Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), "m"));

    private StartOptions Parse(params string[] arguments)
    {
        var result = _commandLine.Parse(["start", .. arguments]);
        result.Errors.Should().BeEmpty();
        return _commandLine.Start.ToOptions(result);
    }
}
