using System.Text.RegularExpressions;

namespace LpLlm.Memory.Configuration;

/// <summary>Which names pools may have: they are service keys and stand in configuration paths.</summary>
internal static partial class PoolNameRule
{
    public const string Text = "1 to 64 characters of [A-Za-z0-9_-]";

    public static bool Allows(string name) => Name().IsMatch(name);

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,64}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Name();
}
