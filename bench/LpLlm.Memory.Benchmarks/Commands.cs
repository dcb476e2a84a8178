using System.CommandLine;
using LpLlm.Memory.Benchmarks.Creation;
using LpLlm.Memory.Benchmarks.Cuda;
using LpLlm.Memory.Benchmarks.Holes;
using LpLlm.Memory.Benchmarks.Loading;
using LpLlm.Memory.Benchmarks.Models;
using LpLlm.Memory.Benchmarks.Rents;
using LpLlm.Memory.Benchmarks.Replay;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Benchmarks.RoundTrips;
using LpLlm.Memory.Benchmarks.Serving;
using LpLlm.Memory.Benchmarks.Threads;
using LpLlm.Memory.Benchmarks.Workloads;
using LpLlm.Memory.Benchmarks.Workloads.Catalogue;

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
        Add("roundtrip", "A request and its reply on each transport.", RoundTripRun.Run);
        Add("attach", "Time to attach to a server's lease, beside making a pool.", AttachRun.Run);
        Add("open", "Time to open a model that a server has in memory, against its size.", OpenRun.Run);
        Add("server", "Rents through a server pool, beside the local pool.", ServerRentsRun.Run);
        Add("reclaim", "Time until a killed client's memory is back.", ReclaimRun.Run);
        Add("save", "Saving a model, beside plain writes to the same disk.", SaveRun.Run);
        Add("load", "Loading a model, beside plain reads of its file.", LoadRun.Run);
        var names = CreateNames();
        AddParsed(
            "workloads",
            "The field's allocator benchmarks, or those that are named.",
            (length, parsed) => WorkloadsRun.Run(length, parsed.GetValue(names)!)).Add(names);
        var parts = CreateParts();
        AddParsed(
            "cuda",
            "Copies, creation, attaching and fences on a CUDA device, or the parts that are named.",
            (length, parsed) => CudaRun.Run(length, parsed.GetValue(parts)!)).Add(parts);
        Add("all", "All of the above; rent with BenchmarkDotNet's short run.", RunAll);
        root.Add(ReplayCommand.Create(quick));
        root.Add(CreateRentProcess());
        root.Add(CreateAttachProcess());
        root.Add(CreatePushProcess());
        return root;

        void Add(string name, string description, Action<RunLength> run) => AddParsed(name, description, (length, _) => run(length));

        Command AddParsed(string name, string description, Action<RunLength, ParseResult> run)
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

                run(isQuick ? RunLength.Quick : RunLength.Full, parsed);
            });
            root.Add(command);
            return command;
        }
    }

    private static Command CreateRentProcess()
    {
        var endPoint = new Argument<string>("end-point");
        var batches = new Argument<int>("batches");
        var command = new Command(RentProcess.Command, "One of the processes that `server` starts.") { endPoint, batches };
        command.Hidden = true;
        command.SetAction((parsed, _) => ServerRentsRun.RunProcessAsync(parsed.GetValue(endPoint)!, parsed.GetValue(batches)));
        return command;
    }

    private static Command CreateAttachProcess()
    {
        var endPoint = new Argument<string>("end-point");
        var bytes = new Argument<long>("bytes");
        var token = new Argument<string>("token");
        var pinning = new Argument<SegmentPinning>("pinning");
        var command = new Command(AttachProcess.Command, "The process that `cuda attach` starts.") { endPoint, bytes, token, pinning };
        command.Hidden = true;
        command.SetAction((parsed, _) => AttachProcess.RunAsync(
            parsed.GetValue(endPoint)!, parsed.GetValue(bytes), parsed.GetValue(token)!, parsed.GetValue(pinning)));
        return command;
    }

    private static Command CreatePushProcess()
    {
        var endPoint = new Argument<string>("end-point");
        var isQuick = new Argument<bool>("is-quick");
        var command = new Command(PushProcess.Command, "The process that `cuda push` starts.") { endPoint, isQuick };
        command.Hidden = true;
        command.SetAction((parsed, _) => PushProcess.RunAsync(parsed.GetValue(endPoint)!, parsed.GetValue(isQuick)));
        return command;
    }

    private static Argument<string[]> CreateParts()
    {
        var all = CudaRun.Parts.Keys.ToArray();
        return new Argument<string[]>("part")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = "Which parts; all of them when none is named.",
            DefaultValueFactory = _ => all,
        }.AcceptOnlyFromAmong(all);
    }

    private static Argument<string[]> CreateNames()
    {
        var all = Workload.All.Select(workload => workload.Name).ToArray();
        return new Argument<string[]>("name")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = "Which workloads; all of them when none is named.",
            DefaultValueFactory = _ => all,
        }.AcceptOnlyFromAmong(all);
    }

    private static void RunAll(RunLength length)
    {
        ThreadsRun.Run(length);
        HolesRun.Run(length);
        CreateRun.Run(length);
        RoundTripRun.Run(length);
        AttachRun.Run(length);
        OpenRun.Run(length);
        ServerRentsRun.Run(length);
        ReclaimRun.Run(length);
        SaveRun.Run(length);
        LoadRun.Run(length);
        WorkloadsRun.Run(length);
        CudaRun.Run(length, CudaRun.Parts.Keys);
        RentRun.Run(length, brief: true);
    }
}
