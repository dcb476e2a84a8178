using System.Runtime.Versioning;
using LpLlm.Memory.Running;

[assembly: SupportedOSPlatform("windows")]

namespace LpLlm.Memory.Windows;

/// <summary>
/// <c>run [TEXT…]</c>: runs the tests whose names contain one of the texts, or all; exits with 1 if one failed. <c>hold END_POINT</c>: the client that a
/// test kills.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments) => arguments switch
    {
        ["run", .. var texts] => await AssemblyRun.RunAsync(texts),
        [HoldingClient.Command, var endPoint] => await HoldingClient.RunAsync(endPoint),
        _ => 2,
    };
}
