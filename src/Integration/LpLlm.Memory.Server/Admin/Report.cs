using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace LpLlm.Memory.Daemon.Admin;

/// <summary>Writes what a daemon said to standard output, for people or for programs.</summary>
internal static class Report
{
    /// <summary>Wide enough for every column where there is no terminal to ask.</summary>
    private const int RedirectedWidth = 240;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static void WriteJson<T>(T value) => Console.Out.WriteLine(JsonSerializer.Serialize(value, Json));

    public static void WriteTable(DaemonStatus status)
    {
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumns(new TableColumn("sllm-store"), new TableColumn(new Text(status.EndPoint)).RightAligned());
        (string Name, string Value)[] rows =
        [
            ("Uptime", TimeSpan.FromSeconds(Math.Round(status.UptimeSeconds)).ToString("c", CultureInfo.InvariantCulture)),
            ("Capacity", ByteSize.Format(status.CapacityBytes)),
            ("Pools may have", ByteSize.Format(status.MostPoolBytes)),
            ("Models may have", ByteSize.Format(status.MostModelBytes)),
            ("Leased", ByteSize.Format(status.LeasedBytes)),
            ("Of it models", ByteSize.Format(status.ModelBytes)),
            ("Idle", ByteSize.Format(status.IdleBytes)),
            ("Pending", ByteSize.Format(status.PendingBytes)),
            ("Most leased", ByteSize.Format(status.PeakLeasedBytes)),
            ("Clients", Number(status.Sessions)),
            ("Leases", Number(status.Leases)),
            ("Waiting", Number(status.Waiting)),
            ("Leases so far", Number(status.TotalLeases)),
            ("Refused so far", Number(status.RefusedRequests)),
            ("Trim requests so far", Number(status.TrimRequests)),
            ("Reclaimed so far", Number(status.ReclaimedLeases)),
        ];
        foreach (var (name, value) in rows)
        {
            table.AddRow(new Text(name), new Text(value));
        }

        Write(table);
    }

    public static void WriteTable(IReadOnlyList<DaemonLease> leases)
    {
        var table = new Table { Border = TableBorder.Rounded };
        foreach (var column in new[] { "Lease", "Name", "Client", "Process", "User", "Length", "Segments", "Holders", "State", "Age" })
        {
            table.AddColumn(column);
        }

        foreach (var lease in leases)
        {
            string[] cells =
            [
                lease.Id.ToString(CultureInfo.InvariantCulture),
                lease.Name,
                lease.Client,
                Known(lease.ProcessId),
                Known(lease.UserId),
                ByteSize.Format(lease.LengthBytes),
                Number(lease.Segments),
                Number(lease.Holders),
                lease.State,
                TimeSpan.FromSeconds(Math.Round(lease.AgeSeconds)).ToString("c", CultureInfo.InvariantCulture),
            ];
            table.AddRow(cells.Select(cell => new Text(cell)));
        }

        Write(table);
    }

    public static void Write(Table table)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Out) });
        if (Console.IsOutputRedirected)
        {
            console.Profile.Width = RedirectedWidth;
        }

        console.Write(table);
    }

    private static string Known(long? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "unknown";

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
