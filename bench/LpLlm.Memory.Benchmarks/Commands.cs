using System.CommandLine;
using LpLlm.Memory.Benchmarks.Creation;
using LpLlm.Memory.Benchmarks.Holes;
using LpLlm.Memory.Benchmarks.Rents;
using LpLlm.Memory.Benchmarks.Replay;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Benchmarks.Threads;

namespace LpLlm.Memory.Benchmarks;

/// <summary>The commands. None of them asserts a time: machines differ, so people read the ratios.</summary>
internal static class Commands
{
    public static RootCommand Create()
    {
        var quick = new Option<bool>("--quick")
        {
            Description = "Tiny counts: shows that everything runs, measures nothing.",
            Recursive = true,
        };
        var root = new RootCommand("Benchmarks of LpLlm.Memory beside its peers.") { quick };
        Add("rent", "Rent and dispose on one thread (BenchmarkDotNet).", length => RentRun.Run(length, brief: false));
        Add("threads", "Rent and dispose on one and on two threads.", ThreadsRun.Run);
        Add("holes", "Cost with many live holes beside the cost with few.", HolesRun.Run);
        Add("create", "Time to create and destroy a pool.", CreateRun.Run);
        Add("all", "All of the above; rent with BenchmarkDotNet's short run.", RunAll);
        root.Add(ReplayCommand.Create(quick));
        return root;

        void Add(string name, string description, Action<RunLength> run)
        {
            var command = new Command(name, description);
            command.SetAction(parsed =>
            {
                var isQuick = parsed.GetValue(quick);
                Machine.Print($"{name}{(isQuick ? " --quick" : "")}");
                if (isQuick)
                {
                    Console.WriteLine("Quick: what follows shows that everything runs; mostly code that the JIT has not optimised yet.");
                }

                run(isQuick ? RunLength.Quick : RunLength.Full);
            });
            root.Add(command);
        }
    }

    private static void RunAll(RunLength length)
    {
        ThreadsRun.Run(length);
        HolesRun.Run(length);
        CreateRun.Run(length);
        RentRun.Run(length, brief: true);
    }
}
