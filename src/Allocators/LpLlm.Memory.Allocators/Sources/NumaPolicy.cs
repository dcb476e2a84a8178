using System.Globalization;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Sources;

/// <summary>Binds memory to one NUMA node before it is populated, and looks afterwards where the pages are.</summary>
internal sealed class NumaPolicy(int node, string procPath = "/proc", string sysPath = "/sys")
{
    /// <summary>The most nodes a Linux kernel can be built for are 1024.</summary>
    public const int MaxNode = 1023;

    private const int PolicyBind = 2;
    private const int QueryNodeOfAddress = 1 | 2;
    private const int Samples = 64;

    private static nint BindNumber => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 235 : 237;

    private static nint QueryNumber => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 236 : 239;

    /// <exception cref="MemorySourceException">The node does not exist, or this process may not use it.</exception>
    public void EnsureAvailable(long lengthBytes)
    {
        if (ReadNodes(Path.Combine(sysPath, "devices/system/node/has_memory"), prefix: "") is { } nodes && !IsUsable(nodes))
        {
            throw Refusal(Errno.EInval, lengthBytes);
        }
    }

    public unsafe void Bind(nint address, long lengthBytes)
    {
        // The kernel takes the number of bits plus one.
        var mask = stackalloc ulong[(MaxNode + 1) / 64];
        new Span<ulong>(mask, (MaxNode + 1) / 64).Clear();
        mask[node / 64] = 1UL << (node % 64);
        if (Libc.BindMemory(BindNumber, address, (nint)lengthBytes, PolicyBind, mask, MaxNode + 2, 0) != 0)
        {
            throw Refusal(Marshal.GetLastPInvokeError(), lengthBytes);
        }
    }

    /// <summary>Asks for the node of up to 65 pages, the first and the last among them.</summary>
    /// <exception cref="MemorySourceException">A page is on another node.</exception>
    public void Verify(nint address, long lengthBytes)
    {
        var step = Math.Max(Environment.SystemPageSize, lengthBytes / Samples);
        for (long offset = 0; offset < lengthBytes; offset += step)
        {
            VerifyPage(address + (nint)offset, lengthBytes);
        }

        VerifyPage(address + (nint)(lengthBytes - 1), lengthBytes);
    }

    internal MemorySourceException Refusal(int error, long lengthBytes)
    {
        var nodes = ReadNodes(Path.Combine(sysPath, "devices/system/node/has_memory"), prefix: "") ?? [];
        var remedy = error switch
        {
            Errno.EInval when !IsUsable(nodes) =>
                $"NUMA node {node} is not there for this process: the nodes with memory are {Format(nodes)}, "
                + $"and it may use {Format(Allowed() ?? nodes)}. Set NumaNode to one of them, or leave it out.",
            Errno.ENoSys => "This kernel was built without NUMA: leave NumaNode out.",
            Errno.EPerm => "A container's seccomp profile forbids mbind: grant CAP_SYS_NICE, or leave NumaNode out.",
            _ => "Leave NumaNode out to let the kernel choose.",
        };
        return Errno.Failure($"mbind to NUMA node {node}", error, lengthBytes, remedy);
    }

    private unsafe void VerifyPage(nint address, long lengthBytes)
    {
        int actual;
        if (Libc.GetMemoryPolicy(QueryNumber, &actual, null, 0, address, QueryNodeOfAddress) != 0)
        {
            throw Errno.Failure("get_mempolicy", Marshal.GetLastPInvokeError(), lengthBytes, "Leave NumaNode out to let the kernel choose.");
        }

        if (actual != node)
        {
            throw Errno.Failure(
                $"mbind to NUMA node {node}", 0, lengthBytes,
                $"Pages are on node {actual} all the same: free memory on node {node}, or leave NumaNode out.");
        }
    }

    private bool IsUsable(int[] nodes) => nodes.Contains(node) && Allowed()?.Contains(node) != false;

    private int[]? Allowed() => ReadNodes(Path.Combine(procPath, "self/status"), prefix: "Mems_allowed_list:");

    private static string Format(int[] nodes) => string.Join(", ", nodes);

    /// <summary>Reads a list such as <c>0-3,5</c>.</summary>
    private static int[]? ReadNodes(string file, string prefix) =>
        File.Exists(file) && File.ReadLines(file).FirstOrDefault(text => text.StartsWith(prefix, StringComparison.Ordinal)) is { } line
            ? [.. line[prefix.Length..].Trim().Split(',', StringSplitOptions.RemoveEmptyEntries).SelectMany(ReadRange)]
            : null;

    private static IEnumerable<int> ReadRange(string range)
    {
        var ends = range.Split('-').Select(text => int.Parse(text, CultureInfo.InvariantCulture)).ToList();
        return Enumerable.Range(ends[0], ends[^1] - ends[0] + 1);
    }
}
