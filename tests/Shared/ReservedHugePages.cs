using System.Globalization;

namespace LpLlm.Memory.Tests;

/// <summary>
/// Reserves 2 MiB pages while a class of tests runs, and puts back what was. Test projects run side by side, so one at a time may: a
/// lock file decides. Compiled into each project that needs it.
/// </summary>
public sealed class ReservedHugePages : IDisposable
{
    public const long PageBytes = 2L << 20;

    /// <summary>Many times what a test takes: pools of other test projects take reserved pages too, when there are some.</summary>
    private const long Count = 192;

    private const long LongestTurn = 120_000;
    private const string Folder = "/sys/kernel/mm/hugepages/hugepages-2048kB";
    private static readonly string NumberFile = Path.Combine(Folder, "nr_hugepages");

    private readonly FileStream? _turn;
    private readonly long _before;
    private readonly string? _missing;

    public ReservedHugePages()
    {
        if (!File.Exists(NumberFile) || !Environment.IsPrivilegedProcess)
        {
            _missing = "only root can reserve huge pages, on Linux with hugetlb.";
            return;
        }

        _turn = WaitForTurn();
        // Pages that were put back while a test still held them are surplus, and vanish with their last user.
        _before = Read("nr_hugepages") - Read("surplus_hugepages");
        Write(Read("nr_hugepages") + Count);
        if (FreePages < Count)
        {
            _missing = $"the kernel found only {FreePages} of {Count} huge pages.";
        }
    }

    public static long FreePages => Read("free_hugepages") - Read("resv_hugepages");

    public void SkipIfMissing() => Skip.If(_missing is not null, $"Huge pages could not be reserved: {_missing}");

    public void Dispose()
    {
        if (_turn is not null)
        {
            Write(_before);
            _turn.Dispose();
        }
    }

    private static FileStream WaitForTurn()
    {
        var file = Path.Combine(Path.GetTempPath(), "lpllm-memory-huge-pages.lock");
        var deadline = Environment.TickCount64 + LongestTurn;
        while (true)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (Environment.TickCount64 < deadline)
            {
                Thread.Sleep(50); // another test project has its turn
            }
        }
    }

    private static long Read(string name) => long.Parse(
        File.ReadAllText(Path.Combine(Folder, name)), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);

    private static void Write(long count) => File.WriteAllText(NumberFile, count.ToString(CultureInfo.InvariantCulture));
}
