using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Globalization;
using LpLlm.Memory.Daemon.Cli.Progress;
using LpLlm.Memory.Models;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store save</c>: makes a model of a Hugging Face folder.</summary>
internal sealed class SaveCommand : ModelFileCommand
{
    private readonly Option<string> _from = new("--from", "--local-model-path")
    {
        Description = "Folder with model.safetensors, or with several files and model.safetensors.index.json. Nothing is downloaded.",
        Required = true,
    };

    private readonly Option<string?> _backend = new("--backend")
    {
        Description = "The original's; 'transformers' only, and without effect: tensors keep their types.",
    };

    private readonly Option<string?> _adapter = new("--adapter-name") { Hidden = true };
    private readonly Option<string?> _parallel = new("--tensor-parallel-size") { Hidden = true };

    public SaveCommand()
        : base("save", "Saves a Hugging Face folder as a model of the store.")
    {
        foreach (var option in new Option[] { _from, _backend, _adapter, _parallel })
        {
            Options.Add(option);
        }

        Refuse(_backend, "transformers", "vllm's fused tensors can be made by vLLM only, so save with the original's command there; with 'transformers' tensors are saved as they are");
        Refuse(_adapter, null, "an adapter is saved as a model of its own: --model ADAPTER --from ITS_FOLDER");
        Refuse(_parallel, "1", "tensors are saved whole; they are split where they are loaded");
    }

    protected override async Task<int> RunAsync(ModelFolder folder, ParseResult result, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        var plan = await ProgressDisplay.RunAsync(
            $"Saving {folder.Model}",
            progress => SafetensorsConversion.SaveAsync(result.GetRequiredValue(_from), folder, progress: progress, cancellationToken: cancellationToken))
            .ConfigureAwait(false);
        var seconds = watch.Elapsed.TotalSeconds;
        await Console.Out.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{folder.Model}: {plan.Tensors.Count} tensors, {ByteSize.Format(plan.DataBytes)}, saved to {folder.FullPath} in {seconds:0.00} s, {plan.DataBytes / seconds / 1e9:0.00} GB/s."))
            .ConfigureAwait(false);
        return ExitCode.Success;
    }

    private static void Refuse(Option option, string? allowed, string reason) => option.Validators.Add((OptionResult result) =>
    {
        if (result.Tokens.Count == 1 && result.Tokens[0].Value != allowed)
        {
            result.AddError($"{option.Name} {result.Tokens[0].Value} is not supported: {reason}.");
        }
    });
}
