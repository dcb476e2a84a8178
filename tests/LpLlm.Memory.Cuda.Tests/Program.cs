using LpLlm.Memory.Cuda.Children;
using LpLlm.Memory.Cuda.Running;

namespace LpLlm.Memory.Cuda;

/// <summary>
/// <c>run [TEXT…]</c>: runs the tests whose names contain one of the texts, or all, without an SDK; exits with 1 if one failed.
/// <c>import …</c> and <c>attach …</c>: the other process of a test.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments) => arguments switch
    {
        ["run", .. var texts] => await AssemblyRun.RunAsync(texts),
        [ImportingChild.Command, var handle, var length] => await ImportingChild.RunAsync(handle, length),
        [AttachingChild.Command, var endPoint, var pinning] => await AttachingChild.RunAsync(endPoint, pinning),
        _ => 2,
    };
}
