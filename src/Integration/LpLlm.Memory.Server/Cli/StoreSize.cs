using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary>
/// Sizes as the original's command line takes them: digits and a unit, nothing else; units are powers of 1024. Up to yottabytes, so beyond 64 bits.
/// </summary>
internal static partial class StoreSize
{
    private const string Units = "KMGTPEZY";

    /// <exception cref="FormatException">The text is no size.</exception>
    public static BigInteger Parse(string text)
    {
        var match = Form().Match(text);
        if (!match.Success)
        {
            throw new FormatException(
                $"Invalid format: '{text}'; digits and one of B, KB, MB, GB, TB, PB, EB, ZB, YB are expected, such as 32MB.");
        }

        var unit = match.Groups[2].Value;
        var power = unit.Length == 1 ? 0 : Units.IndexOf(unit[0], StringComparison.Ordinal) + 1;
        return BigInteger.Parse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture) << (10 * power);
    }

    [GeneratedRegex(@"\A([0-9]+)(B|KB|MB|GB|TB|PB|EB|ZB|YB)\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
