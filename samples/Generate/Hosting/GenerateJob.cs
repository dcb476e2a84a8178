using System.Globalization;
using System.Text;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Cli;
using LpLlm.Memory.Samples.Generate.Generation;
using LpLlm.Memory.Samples.Generate.Llama;

namespace LpLlm.Memory.Samples.Generate.Hosting;

/// <summary>What the program does once its pool is open: load the model, then generate or score.</summary>
internal sealed class GenerateJob(GenerateOptions options, IPinnedMemoryPool pool, IModelStore store, IAttnManager attention)
{
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var statistics = new RunStatistics();
        var config = LlamaConfig.Read(options.ModelFolder);
        statistics.Loading();
        using var weights = await LlamaWeights.OpenAsync(options.ModelFolder, config, store, cancellationToken);
        statistics.Loaded(weights.LengthBytes);
        var model = new LlamaModel(config, weights, attention);
        if (options.ScoreFile is { } file)
        {
            await ScoreAsync(model, file, cancellationToken);
            return;
        }

        await GenerateAsync(model, statistics, cancellationToken);
        if (!options.Raw)
        {
            StatisticsReport.Write(statistics);
        }
    }

    private async Task ScoreAsync(LlamaModel model, string file, CancellationToken cancellationToken)
    {
        var scorer = new Scorer(model, options.KvElementType);
        scorer.CheckLength(new FileInfo(file).Length); // before reading it: a file may be larger than memory
        var score = await scorer.ScoreAsync(await File.ReadAllBytesAsync(file, cancellationToken), cancellationToken);
        Console.WriteLine(score.ToString("F5", CultureInfo.InvariantCulture));
    }

    private async Task GenerateAsync(LlamaModel model, RunStatistics statistics, CancellationToken cancellationToken)
    {
        // Bytes, not text: a model may make what is not UTF-8, and a character may come in several bytes.
        await using var output = Console.OpenStandardOutput();
        var prompt = Encoding.UTF8.GetBytes(options.Prompt);
        var generator = new TextGenerator(model, options.KvElementType);
        statistics.Started();
        var made = 0;
        await foreach (var token in generator.GenerateAsync(prompt, options.MaxNewTokens, cancellationToken))
        {
            if (made == 0 && !options.Raw)
            {
                output.Write(prompt);
            }

            output.WriteByte(token);
            output.Flush();
            statistics.Made(++made);
            if (made == options.MaxNewTokens)
            {
                statistics.Pools = [.. new[] { pool, attention.Pool }.Distinct().Select(PoolState.Of)]; // while the KV cache is there
            }
        }
    }
}
