using System.CommandLine;
using System.Globalization;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.TestKit.Replay;

namespace LpLlm.Memory.Benchmarks.Replay;

/// <summary><c>replay FILE</c>: what bad input gets is a line on the error stream and exit code 1, not a stack.</summary>
internal static class ReplayCommand
{
    public static Command Create(Option<bool> quick)
    {
        var file = new Argument<FileInfo>("file") { Description = "A trace that AddTracing wrote." };
        var pool = new Option<string>("--pool") { Description = "The pool to replay against.", DefaultValueFactory = _ => "local" };
        pool.AcceptOnlyFromAmong(ReplayPools.Names);
        var simulated = new Option<bool>("--simulated") { Description = "Memory that nothing backs: any capacity on any machine." };
        var capacity = new Option<long?>("--capacity")
        {
            Description = "Size of the pool, for example 1TiB (the largest). Default: twice the trace's peak.",
            CustomParser = result =>
            {
                if (ByteSize.TryParse(result.Tokens[0].Value, out var bytes) && bytes > 0 && bytes <= ReplayPools.MaxCapacityBytes)
                {
                    return bytes;
                }

                result.AddError($"--capacity '{result.Tokens[0].Value}' is not a size from 1B to 1TiB, such as 2GiB or 512MB.");
                return null;
            },
        };
        var threads = new Option<int?>("--threads")
        {
            Description = "Replaying threads, 1 to 1024. Default: as many as were traced. With 1, in exactly the order of the trace.",
        };
        threads.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1 or > 1024)
            {
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"--threads {result.GetValueOrDefault<int?>()} is not from 1 to 1024."));
            }
        });
        var command = new Command("replay", "Replay a trace of a pool against any pool.") { file, pool, simulated, capacity, threads };
        command.SetAction(parsed =>
        {
            try
            {
                var trace = TraceReader.Read(parsed.GetRequiredValue(file).FullName);
                Machine.Print($"replay {string.Join(' ', parsed.Tokens.Skip(1).Select(token => token.Value))}");
                ReplayRun.Run(
                    trace,
                    parsed.GetRequiredValue(pool),
                    parsed.GetValue(simulated),
                    parsed.GetValue(capacity),
                    parsed.GetValue(threads),
                    parsed.GetValue(quick));
                return 0;
            }
            catch (Exception refusal) when (refusal is TraceFormatException or IOException or UnauthorizedAccessException or MemorySourceException)
            {
                Console.Error.WriteLine(refusal.Message);
                return 1;
            }
        });
        return command;
    }
}
