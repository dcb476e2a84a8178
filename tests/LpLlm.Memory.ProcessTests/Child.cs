using LpLlm.Memory.Tests.Children;

namespace LpLlm.Memory.Tests;

/// <summary>What the processes do that the tests start. Each step is a line, so that a test knows when to kill.</summary>
internal static class Child
{
    public static async Task<int> Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["cycle", var kind]:
                await LocalPools.CycleAsync(kind);
                return 0;
            case ["open", var kind]:
                await LocalPools.OpenAsync(kind);
                return 0;
            case ["attach", var path, var length]:
                LocalPools.Attach(path, length);
                return 0;
            case ["puppet"]:
                await PuppetProgram.RunAsync();
                return 0;
            default:
                Console.Error.WriteLine("usage: cycle KIND | open KIND | attach PATH LENGTH | puppet");
                return 2;
        }
    }
}
