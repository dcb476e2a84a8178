using System.CommandLine;
using LpLlm.Memory.Daemon.Cli.Progress;
using LpLlm.Memory.Models;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>sllm-store verify</c>: says exactly what of a model is damaged.</summary>
internal sealed class VerifyCommand : ModelFileCommand
{
    private readonly Option<bool> _repair = new("--repair") { Description = "Restores what can be restored for certain, and nothing else." };

    public VerifyCommand()
        : base("verify", "Checks a model's files, byte by byte. Exit code 1 if anything is damaged, or stays so after --repair.") => Options.Add(_repair);

    protected override async Task<int> RunAsync(ModelFolder folder, ParseResult result, CancellationToken cancellationToken)
    {
        var report = await VerifyAsync(folder, cancellationToken).ConfigureAwait(false);
        await WriteAsync(report.Findings.Select(finding => finding.ToString())).ConfigureAwait(false);
        if (result.GetValue(_repair) && (report.Findings.Count > 0 || !report.HasChecks))
        {
            await WriteAsync(CheckpointRepair.Run(folder, report, cancellationToken).Select(line => $"Repair: {line}")).ConfigureAwait(false);
            report = await VerifyAsync(folder, cancellationToken).ConfigureAwait(false);
            await WriteAsync(report.Findings.Select(finding => $"Still: {finding}")).ConfigureAwait(false);
        }

        await Console.Out.WriteLineAsync($"{folder.Model}: {Summary(report)}").ConfigureAwait(false);
        return report.Findings.Count == 0 ? ExitCode.Success : ExitCode.Failure;
    }

    private static Task<VerifyReport> VerifyAsync(ModelFolder folder, CancellationToken cancellationToken) => ProgressDisplay.RunAsync(
        $"Checking {folder.Model}",
        progress => Task.Run(
            () =>
            {
                long doneBytes = 0;
                var totalBytes = TotalBytes(folder);
                return CheckpointVerifier.Verify(folder, bytes => progress.Report(new SaveProgress(doneBytes += bytes, totalBytes)), cancellationToken);
            },
            cancellationToken));

    private static long TotalBytes(ModelFolder folder) => Directory.Exists(folder.FullPath)
        ? Directory.EnumerateFiles(folder.FullPath, ModelFolder.PartitionPrefix + "*").Sum(path => new FileInfo(path).Length)
        : 0;

    private static string Summary(VerifyReport report) =>
        report.Findings.Count > 0 ? $"damaged, {report.Findings.Count} finding{(report.Findings.Count == 1 ? "" : "s")}."
        : report.HasChecks ? $"sound. {report.TensorCount} tensors, {ByteSize.Format(report.CheckedBytes)} checked."
        : $"no damage that can be seen. {report.TensorCount} tensors; without {ModelFolder.ChecksName}, which the original does not write, their bytes cannot be checked.";

    private static async Task WriteAsync(IEnumerable<string> lines)
    {
        foreach (var line in lines)
        {
            await Console.Out.WriteLineAsync(line).ConfigureAwait(false);
        }
    }
}
