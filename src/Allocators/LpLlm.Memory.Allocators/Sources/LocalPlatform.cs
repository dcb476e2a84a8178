namespace LpLlm.Memory.Sources;

internal static class LocalPlatform
{
    /// <summary>Throws where the local calls do not exist; called on use, so that everything loads everywhere.</summary>
    /// <exception cref="PlatformNotSupportedException">There are none here.</exception>
    public static void EnsureSupported()
    {
        if (!(OperatingSystem.IsLinux() || OperatingSystem.IsWindows()) || !Environment.Is64BitProcess)
        {
            throw new PlatformNotSupportedException(
                "Local pinned memory needs 64-bit Linux (mmap, madvise, mlock) or Windows (VirtualAlloc, VirtualLock); what is missing on this platform "
                + "is a memory source and a pinner over its own calls. Use a server pool on a Linux host instead.");
        }
    }

    /// <summary>Throws where what is wanted does not exist.</summary>
    /// <exception cref="PlatformNotSupportedException">It does not, or no local memory does.</exception>
    public static void EnsureSupported(HostMemorySettings settings)
    {
        EnsureSupported();
        if (OperatingSystem.IsWindows() && settings.HugePages == HugePageMode.Require)
        {
            throw new PlatformNotSupportedException("HugePages=Require needs Linux: large pages of Windows are not used. Set HugePages to Auto or Never.");
        }

        if (OperatingSystem.IsWindows() && settings.NumaNode is { } node)
        {
            throw new PlatformNotSupportedException($"NumaNode={node} needs Linux: memory is not bound to nodes on Windows. Leave NumaNode out.");
        }
    }
}
