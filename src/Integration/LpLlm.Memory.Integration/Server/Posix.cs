using System.Runtime.InteropServices;

namespace LpLlm.Memory.Server;

/// <summary>The system calls of a server that are not about memory. (The soft limit of descriptors is raised by the runtime itself.)</summary>
internal static partial class Posix
{
    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint GetEffectiveUserId();
}
