using System.Text.RegularExpressions;

namespace LpLlm.Memory.Architecture;

/// <summary>Each fault of the system this one replaces, and each row of the table of failures, has a test that is named after it.</summary>
public partial class FaultTests
{
    private static readonly HashSet<string> Names = Directory
        .EnumerateFiles(Path.Combine(Repository.Root, "tests"), "*.cs", SearchOption.AllDirectories)
        .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
        .SelectMany(file => TestMethod().Matches(File.ReadAllText(file)))
        .Select(match => match.Groups[1].Value)
        .ToHashSet();

    /// <summary>The pool server's faults, S1 to S9, its client's, C1 to C11, the daemon's with models, U1 to U10, and those of the format, F1 to F10.</summary>
    public static TheoryData<string> Faults =>
    [
        .. Enumerable.Range(1, 9).Select(i => $"S{i}"),
        .. Enumerable.Range(1, 11).Select(i => $"C{i}"),
        .. Enumerable.Range(1, 10).Select(i => $"U{i}"),
        .. Enumerable.Range(1, 10).Select(i => $"F{i}"),
    ];

    /// <summary>Of the table "Failure modes, correct behaviour, automated test", 1 to 34.</summary>
    public static TheoryData<string> Rows => [.. Enumerable.Range(1, 34).Select(i => $"Row{i:00}")];

    [Theory]
    [MemberData(nameof(Faults))]
    [MemberData(nameof(Rows))]
    public void EveryFault_HasATestOfItsName(string fault) =>
        Names.Should().Contain(name => name.Split('_', StringSplitOptions.None).Contains(fault), $"a test of {fault} has it in its name");

    /// <summary>A test's attribute, its data, and its name.</summary>
    [GeneratedRegex(@"\[(?:Fact|Theory|SkippableFact|SkippableTheory)\b[^\]]*\](?:\s*\[.*\])*\s*public\s[^=(]*?\b(\w+)\(")]
    private static partial Regex TestMethod();
}
