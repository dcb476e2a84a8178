using LpLlm.Memory.Daemon.Cli;
using LpLlm.Memory.Server;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Daemon.Hosting;

/// <summary>One run of the daemon, from its start to the exit code.</summary>
internal static class StoreRun
{
    public static async Task<int> RunAsync(StartOptions options)
    {
        try
        {
            using var host = StoreHost.Build(options);
            try
            {
                await host.StartAsync().ConfigureAwait(false);
            }
            catch (OperationCanceledException)
                when (host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested)
            {
                return ExitCode.Success; // stopped before it was ready
            }

            var endPoints = host.Services.GetRequiredService<PoolServer>().EndPoints;
            await Console.Out.WriteLineAsync($"sllm-store ready {string.Join(' ', endPoints.Select(PoolEndPoint.Format))}").ConfigureAwait(false);
            await Console.Out.FlushAsync().ConfigureAwait(false);
            await host.WaitForShutdownAsync().ConfigureAwait(false);
            return ExitCode.Success;
        }
        catch (Exception failure) when (IsExpected(failure))
        {
            await Console.Error.WriteLineAsync($"sllm-store: {MessageOf(failure)}").ConfigureAwait(false);
            return ExitCode.Failure;
        }
    }

    /// <summary>Failures whose message is all the operator needs; any other is a defect and keeps its stack trace.</summary>
    private static bool IsExpected(Exception failure) => failure
        is PinnedMemoryException
        or InvalidOperationException
        or OptionsValidationException
        or InvalidDataException // the configuration is not JSON
        or IOException
        or UnauthorizedAccessException
        or PlatformNotSupportedException;

    private static string MessageOf(Exception failure) =>
        failure is OptionsValidationException invalid ? string.Join(Environment.NewLine, invalid.Failures) : failure.Message;
}
