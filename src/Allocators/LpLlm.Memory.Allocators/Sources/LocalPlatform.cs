namespace LpLlm.Memory.Sources;

internal static class LocalPlatform
{
    /// <summary>Throws where the local calls do not exist; called on use, so that everything loads everywhere.</summary>
    public static void EnsureSupported()
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            throw new PlatformNotSupportedException(
                "Local pinned memory needs 64-bit Linux (mmap, madvise, mlock); what is missing on this platform is a memory source "
                + "and a pinner over its own calls (Windows: VirtualAlloc, VirtualLock; macOS: mmap, mlock). "
                + "Use a server pool on a Linux host instead.");
        }
    }
}
