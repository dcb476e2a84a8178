namespace LpLlm.Memory.Benchmarks.Reporting;

/// <summary>A table to paste into docs/benchmarks.md; the first column is text, the others are numbers.</summary>
internal sealed class MarkdownTable(params string[] headers)
{
    private readonly List<string[]> _rows = [];

    public void Add(params string[] cells) => _rows.Add(cells);

    public void Print()
    {
        var widths = headers.Select((header, column) => _rows.Select(row => row[column].Length).Append(header.Length).Max()).ToArray();
        Console.WriteLine();
        PrintRow(headers, widths);
        PrintRow([.. widths.Select((width, column) => new string('-', column == 0 ? width : width - 1) + (column == 0 ? "" : ":"))], widths);
        foreach (var row in _rows)
        {
            PrintRow(row, widths);
        }

        Console.WriteLine();
    }

    private static void PrintRow(string[] cells, int[] widths) => Console.WriteLine(
        $"| {string.Join(" | ", cells.Select((cell, column) => column == 0 ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column])))} |");
}
