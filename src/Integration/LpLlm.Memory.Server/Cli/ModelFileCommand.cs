using System.CommandLine;
using System.Runtime.InteropServices;
using LpLlm.Memory.Models;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary>A command that works on a model's files and needs no daemon. SIGINT and SIGTERM end it in order.</summary>
internal abstract class ModelFileCommand : Command
{
    private readonly Option<string> _model = new("--model") { Description = "The model's path under the storage path, such as llama/7b.", Required = true };
    private readonly StoragePathOption _storagePath = new();

    protected ModelFileCommand(string name, string description)
        : base(name, description)
    {
        Options.Add(_model);
        Options.Add(_storagePath);
        SetAction(RunAsync);
    }

    /// <returns>The exit code.</returns>
    protected abstract Task<int> RunAsync(ModelFolder folder, ParseResult result, CancellationToken cancellationToken);

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        try
        {
            var folder = ModelFolder.Of(_storagePath.PathOf(result), result.GetRequiredValue(_model));
            return await RunAsync(folder, result, stop.Token).ConfigureAwait(false);
        }
        catch (ArgumentException refusal) when (refusal.ParamName == "modelPath")
        {
            await Console.Error.WriteLineAsync(refusal.Message).ConfigureAwait(false);
            return ExitCode.Usage;
        }
        catch (ModelStoreException failure)
        {
            await Console.Error.WriteLineAsync(failure.Message).ConfigureAwait(false);
            return ExitCode.Failure;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted.").ConfigureAwait(false);
            return ExitCode.Failure;
        }

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true; // what was begun is removed first
            stop.Cancel();
        }
    }
}
