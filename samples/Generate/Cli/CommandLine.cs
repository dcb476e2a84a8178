using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using LpLlm.Memory.Attention;

namespace LpLlm.Memory.Samples.Generate.Cli;

/// <summary>Turns arguments into <see cref="GenerateOptions"/>.</summary>
internal sealed class CommandLine
{
    private static readonly GenerateOptions Defaults = new();

    private readonly Option<string> _prompt = new("--prompt")
    {
        Description = "Text to continue.",
        DefaultValueFactory = _ => Defaults.Prompt,
    };

    private readonly Option<int> _maxNewTokens = new("--max-new-tokens")
    {
        Description = "Bytes to add, 1 or more.",
        DefaultValueFactory = _ => Defaults.MaxNewTokens,
        CustomParser = ParseCount,
    };

    private readonly Option<string?> _pool = new("--pool")
    {
        Description = "Kind of pool: Server (over a server in this process, unless --endpoint names another), Local or Hybrid.",
        HelpName = "Kind",
    };

    private readonly Option<string?> _endPoint = new("--endpoint")
    {
        Description = "Server to use, for example pipe:///run/sllm-store/pool.sock: its memory, for the kinds Server and Hybrid, and its model of the name of --model's folder.",
        HelpName = "URI",
    };

    private readonly Option<string> _kv = new("--kv")
    {
        Description = "How keys and values are stored.",
        DefaultValueFactory = _ => "float32",
    };

    private readonly Option<bool> _raw = new("--raw")
    {
        Description = "Write the continuation's bytes and nothing else to standard output.",
    };

    private readonly Option<string?> _score = new("--score")
    {
        Description = "Generate nothing; print the mean negative log likelihood of the file's bytes (nats per byte).",
        HelpName = "FILE",
    };

    private readonly Option<string> _model = new("--model")
    {
        Description = "Folder with config.json, tensor_index.json and tensor.data_0 onwards.",
        HelpName = "DIR",
        DefaultValueFactory = _ => Defaults.ModelDirectory,
    };

    public CommandLine()
    {
        _kv.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "float32", "bfloat16");
        _prompt.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is "")
            {
                result.AddError("--prompt is empty; the model predicts a byte from those before it, so give at least one character.");
            }
        });
        Root = new RootCommand("Continues a text with a small language model whose weights and KV cache live in a pinned memory pool.")
        {
            _prompt, _maxNewTokens, _pool, _endPoint, _kv, _raw, _score, _model,
        };
        Root.Validators.Add(result =>
        {
            foreach (var other in new Option[] { _prompt, _maxNewTokens, _raw })
            {
                if (result.GetResult(_score) is { Implicit: false } && result.GetResult(other) is { Implicit: false })
                {
                    result.AddError($"--score generates nothing, so it does not go with {other.Name}.");
                }
            }
        });
    }

    public RootCommand Root { get; }

    public ParseResult Parse(string[] arguments) =>
        Root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null }); // a prompt may begin with @

    public GenerateOptions ToOptions(ParseResult result) => new()
    {
        Prompt = result.GetRequiredValue(_prompt),
        MaxNewTokens = result.GetRequiredValue(_maxNewTokens),
        PoolKind = result.GetValue(_pool),
        EndPoint = result.GetValue(_endPoint),
        KvElementType = Enum.Parse<KvElementType>(result.GetRequiredValue(_kv), ignoreCase: true),
        Raw = result.GetValue(_raw),
        ScoreFile = result.GetValue(_score),
        ModelDirectory = result.GetRequiredValue(_model),
    };

    private static int ParseCount(ArgumentResult result)
    {
        var text = result.Tokens.Single().Value;
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count < 1)
        {
            result.AddError($"--max-new-tokens is '{text}'; a whole number from 1 to {int.MaxValue} is expected.");
        }

        return count;
    }
}
