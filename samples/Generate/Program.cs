using System.CommandLine;
using LpLlm.Memory.Samples.Generate.Cli;

var commandLine = new CommandLine();
commandLine.Root.SetAction((result, _) => GenerateCommand.RunAsync(commandLine.ToOptions(result)));
var parsed = commandLine.Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (var error in parsed.Errors)
    {
        Console.Error.WriteLine(error.Message);
    }

    Console.Error.WriteLine("See --help.");
    return ExitCode.Usage;
}

// Ctrl-C is the host's to handle: without null here the command line would race it to the exit code.
return await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
