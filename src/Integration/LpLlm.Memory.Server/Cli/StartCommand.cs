using System.CommandLine;
using LpLlm.Memory.Daemon.Hosting;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store start</c>: the original's options and ours.</summary>
internal sealed class StartCommand : Command
{
    private readonly Option<string?> _host = new("--host")
    {
        Description = $"Address for gRPC. Default {StartOptions.DefaultHost}; others than loopback ones need a token.",
    };

    private readonly Option<int?> _port = new("--port")
    {
        Description = $"Port for gRPC; 0 lets the system choose. Default {StartOptions.DefaultPort}.",
        CustomParser = result => OptionParsers.Number("--port", 0, ushort.MaxValue)(result),
    };

    private readonly StoragePathOption _storagePath = new();

    private readonly Option<int> _threads = new("--num-thread")
    {
        Description = "Threads that read models from disk, all loads together. Default 4.",
        DefaultValueFactory = _ => 4,
        CustomParser = OptionParsers.Number("--num-thread", 1, 256),
    };

    private readonly Option<long?> _chunk = new("--chunk-size")
    {
        Description = "The standard segment. Default 32MB.",
        CustomParser = result => OptionParsers.Size("--chunk-size", 1)(result),
    };

    private readonly Option<long> _memPool = new("--mem-pool-size")
    {
        Description = "Memory for models, taken as they are loaded. Default 4GB.",
        DefaultValueFactory = _ => StartOptions.DefaultMemPoolBytes,
        CustomParser = OptionParsers.Size("--mem-pool-size", 1),
    };

    private readonly Option<long> _disk = new("--disk-size")
    {
        Description = "Without effect, as in the original. Default 128GB.",
        DefaultValueFactory = _ => 128L << 30,
        CustomParser = OptionParsers.Size("--disk-size", 0),
    };

    // Of texts: an option of a truth value would be a switch, which takes no other words than true and false.
    private readonly Option<string> _registration = new("--registration-required")
    {
        Description = "Whether a model must be registered before it is loaded: True or False.",
        DefaultValueFactory = _ => "False",
    };

    private readonly Option<long?> _poolMemory = new("--pool-memory-size")
    {
        Description = "Memory that is leased to clients, taken at the start. Default 2GB.",
        CustomParser = result => OptionParsers.Size("--pool-memory-size", 1)(result),
    };

    private readonly Option<string?> _socket = new("--socket")
    {
        Description = "The socket for clients on this host. Default: pool.sock in a private runtime folder.",
        HelpName = "PATH",
    };

    private readonly Option<string?> _config = new("--config")
    {
        Description = "JSON file with sections PoolServer and Grpc; what the command line says goes before it.",
        HelpName = "FILE",
    };

    public StartCommand()
        : base("start", "Runs the daemon until SIGTERM or SIGINT.")
    {
        foreach (var option in new Option[]
        {
            _host, _port, _storagePath, _threads, _chunk, _memPool, _disk, _registration, _poolMemory, _socket, _config,
        })
        {
            Options.Add(option);
        }

        _registration.Validators.Add(result => OptionParsers.CheckTruth("--registration-required", result));
        SetAction((result, _) => StoreRun.RunAsync(ToOptions(result)));
    }

    public StartOptions ToOptions(ParseResult result) => new()
    {
        Host = result.GetValue(_host),
        Port = result.GetValue(_port),
        StoragePath = _storagePath.PathOf(result),
        ThreadCount = result.GetRequiredValue(_threads),
        ChunkBytes = result.GetValue(_chunk),
        MemPoolBytes = result.GetRequiredValue(_memPool),
        DiskBytes = result.GetRequiredValue(_disk),
        RegistrationRequired = OptionParsers.IsTrue(result.GetRequiredValue(_registration)) is true,
        PoolMemoryBytes = result.GetValue(_poolMemory),
        SocketPath = result.GetValue(_socket),
        ConfigFile = result.GetValue(_config),
    };
}
