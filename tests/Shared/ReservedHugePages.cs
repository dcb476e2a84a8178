using System.Globalization;

namespace LpLlm.Memory.Tests;

/// <summary>
/// Reserves huge pages, of 2 MiB unless derived for others, while a class of tests runs, and puts back what was. Test projects run side by side, so one at a time may: a
/// lock file decides. Compiled into each project that needs it.
/// </summary>
public class ReservedHugePages : IDisposable
{
    private const long LongestTurnMilliseconds = 120_000;

    private readonly string _folder;
    private readonly FileStream? _turn;
    private readonly long _before;
    private readonly string? _missing;

    /// <summary>Many times what a test takes: pools of other test projects take reserved pages too, when there are some.</summary>
    public ReservedHugePages()
        : this(2L << 20, 192)
    {
    }

    protected ReservedHugePages(long pageBytes, long count)
    {
        PageBytes = pageBytes;
        _folder = $"/sys/kernel/mm/hugepages/hugepages-{pageBytes / 1024}kB";
        if (!File.Exists(Path.Combine(_folder, "nr_hugepages")) || !Environment.IsPrivilegedProcess)
        {
            _missing = "only root can reserve huge pages, on Linux with hugetlb.";
            return;
        }

        _turn = WaitForTurn();
        // Pages that were put back while a test still held them are surplus, and vanish with their last user.
        _before = Read("nr_hugepages") - Read("surplus_hugepages");
        Write(Read("nr_hugepages") + count);
        if (FreePages < count)
        {
            _missing = $"the kernel found only {FreePages} of {count} huge pages.";
        }
    }

    public long PageBytes { get; }

    public long FreePages => Read("free_hugepages") - Read("resv_hugepages");

    public void SkipIfMissing() => Skip.If(_missing is not null, $"Huge pages could not be reserved: {_missing}");

    public void Dispose()
    {
        if (_turn is not null)
        {
            Write(_before);
            _turn.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    private static FileStream WaitForTurn()
    {
        var file = Path.Combine(Path.GetTempPath(), "lpllm-memory-huge-pages.lock");
        var deadline = Environment.TickCount64 + LongestTurnMilliseconds;
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

    private long Read(string name) => long.Parse(
        File.ReadAllText(Path.Combine(_folder, name)), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);

    private void Write(long count) => File.WriteAllText(Path.Combine(_folder, "nr_hugepages"), count.ToString(CultureInfo.InvariantCulture));
}
