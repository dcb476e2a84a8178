using LpLlm.Memory.Cuda.Children;
using LpLlm.Memory.Running;

namespace LpLlm.Memory.Cuda;

/// <summary>
/// <c>run [TEXT…]</c>: runs the tests whose names contain one of the texts, or all, without an SDK; exits with 1 if one failed.
/// <c>import …</c>, <c>attach …</c> and <c>push …</c>: the other process of a test.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments) => arguments switch
    {
        ["run", .. var texts] => await AssemblyRun.RunAsync(texts),
        [ImportingChild.Command, var handle, var length] => await ImportingChild.RunAsync(handle, length),
        [AttachingChild.Command, var endPoint, var pinning] => await AttachingChild.RunAsync(endPoint, pinning),
        [PushingChild.Command, var endPoint, var ordinal, var times] => await PushingChild.RunAsync(endPoint, ordinal, endless: times == "forever"),
        _ => 2,
    };
}
