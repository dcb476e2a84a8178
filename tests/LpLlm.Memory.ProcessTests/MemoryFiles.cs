namespace LpLlm.Memory.Tests;

/// <summary>Our memory files, by inode, that processes have mapped.</summary>
internal static class MemoryFiles
{
    public static HashSet<string> OfProcess(string folder)
    {
        try
        {
            return [.. File.ReadLines(Path.Combine(folder, "maps"))
                .Where(line => line.Contains("/memfd:lpllm-memory", StringComparison.Ordinal))
                .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4])];
        }
        catch (IOException)
        {
            return []; // it ended, or is a thread of the kernel
        }
        catch (UnauthorizedAccessException)
        {
            return []; // another user's
        }
    }

    public static HashSet<string> OfAllProcesses() =>
        [.. Directory.EnumerateDirectories("/proc").Where(folder => char.IsAsciiDigit(Path.GetFileName(folder)[0])).SelectMany(OfProcess)];
}
