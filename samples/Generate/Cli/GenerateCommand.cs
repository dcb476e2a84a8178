using LpLlm.Memory.Samples.Generate.Checkpoint;
using LpLlm.Memory.Samples.Generate.Generation;
using LpLlm.Memory.Samples.Generate.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LpLlm.Memory.Samples.Generate.Cli;

/// <summary>Runs the host around one job and turns what may go wrong into a message and an exit code.</summary>
internal static class GenerateCommand
{
    public static async Task<int> RunAsync(GenerateOptions options)
    {
        try
        {
            using var host = await GenerateHost.StartAsync(options);
            var stopping = host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping; // Ctrl-C
            await host.Services.GetRequiredService<GenerateJob>().RunAsync(stopping);
            await host.StopAsync(CancellationToken.None);
            return ExitCode.Success;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("Cancelled.");
            return ExitCode.Cancelled;
        }
        catch (Exception e) when (IsExpected(e))
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Failure;
        }
    }

    /// <summary>Failures whose message is all the user needs; any other is a defect and keeps its stack trace.</summary>
    private static bool IsExpected(Exception e) => e
        is ModelFileException
        or RefusedTextException
        or RefusedConfigurationException
        or PinnedMemoryException
        or InvalidDataException // appsettings.json is not JSON
        or IOException
        or UnauthorizedAccessException;
}
