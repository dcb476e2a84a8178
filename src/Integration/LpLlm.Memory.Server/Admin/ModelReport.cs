using System.Globalization;
using Spectre.Console;

namespace LpLlm.Memory.Daemon.Admin;

/// <summary>Writes what a daemon said of its models, for people.</summary>
internal static class ModelReport
{
    public static void WriteTable(IReadOnlyList<DaemonModel> models)
    {
        var table = new Table { Border = TableBorder.Rounded };
        foreach (var column in new[] { "Model", "State", "Length", "Loaded", "Users", "Load time", "Rate", "Failure" })
        {
            table.AddColumn(column);
        }

        foreach (var model in models)
        {
            string[] cells =
            [
                model.Model,
                model.State,
                ByteSize.Format(model.LengthBytes),
                ByteSize.Format(model.LoadedBytes),
                model.Users.ToString(CultureInfo.InvariantCulture),
                Seconds(model),
                Rate(model),
                model.Failure ?? "",
            ];
            table.AddRow(cells.Select(cell => new Text(cell)));
        }

        Report.Write(table);
    }

    public static string Line(DaemonModel model, bool wasLoaded) => wasLoaded
        ? $"Model '{model.Model}' was in memory already: {model.LengthBytes} B; its load took {Seconds(model)} ({Rate(model)})."
        : $"Model '{model.Model}' is loaded: {model.LengthBytes} B in {Seconds(model)} ({Rate(model)}).";

    private static string Seconds(DaemonModel model) =>
        model.LoadSeconds is { } seconds ? string.Create(CultureInfo.InvariantCulture, $"{seconds:0.000} s") : "";

    private static string Rate(DaemonModel model) =>
        model.GigabytesPerSecond is { } rate ? string.Create(CultureInfo.InvariantCulture, $"{rate:0.00} GB/s") : "";
}
