using System.CommandLine;
using LpLlm.Memory.Daemon.Cli;

var parsed = new CommandLine().Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (var error in parsed.Errors)
    {
        Console.Error.WriteLine(error.Message);
    }

    Console.Error.WriteLine("See --help.");
    return ExitCode.Usage;
}

// Signals are the host's to handle: without null here the command line would race it to the exit code.
return await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
