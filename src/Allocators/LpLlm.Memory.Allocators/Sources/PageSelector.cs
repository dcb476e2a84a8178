namespace LpLlm.Memory.Sources;

/// <summary>Decides on which pages a region goes, by what the machine has at that moment.</summary>
internal sealed class PageSelector(HostMemorySettings settings, HugePageReserve reserve, string sysPath = "/sys")
{
    /// <exception cref="MemorySourceException">Huge pages are required, and too few are free.</exception>
    public PageChoice Select(long lengthBytes)
    {
        var reserved = new PageChoice(PageKind.Reserved, settings.HugePageBytes);
        switch (settings.HugePages)
        {
            case HugePageMode.Require:
                reserve.EnsureAvailable(lengthBytes);
                return reserved;
            // Below one page, rounding would waste more than the region has.
            case HugePageMode.Auto when lengthBytes >= reserved.Bytes && lengthBytes <= reserve.GetFreeBytes():
                return reserved;
            default:
                return SelectOrdinary();
        }
    }

    /// <summary>The best pages that nobody has to reserve.</summary>
    public PageChoice SelectOrdinary() =>
        new(settings.HugePages == HugePageMode.Auto ? SelectKind() : PageKind.Small, Environment.SystemPageSize);

    private PageKind SelectKind()
    {
        var file = Path.Combine(sysPath, "kernel/mm/transparent_hugepage", settings.Shared ? "shmem_enabled" : "enabled");
        if (!File.Exists(file) || File.ReadAllText(file) is var text && text.Contains("[deny]", StringComparison.Ordinal))
        {
            return PageKind.Small;
        }

        // For shared memory "never" is no decision, but the kernel's default: it means that populating makes small pages, not that nobody may merge
        // them. An administrator who wants none writes "deny"; a user, HugePages=Never.
        return !text.Contains("[never]", StringComparison.Ordinal) ? PageKind.Transparent
            : settings.Shared ? PageKind.Collapsed
            : PageKind.Small;
    }
}
