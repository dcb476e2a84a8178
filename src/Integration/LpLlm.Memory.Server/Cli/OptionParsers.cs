using System.CommandLine.Parsing;
using System.Globalization;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary>Turns values of options into numbers, as strictly as the original does.</summary>
internal static class OptionParsers
{
    /// <summary>A quarter of what 63 bits hold: sums and rounding have room.</summary>
    private const long MostBytes = 1L << 61;

    public static Func<ArgumentResult, long> Size(string option, long least) => result =>
    {
        var text = result.Tokens.Single().Value;
        try
        {
            var bytes = StoreSize.Parse(text);
            if (bytes >= least && bytes <= MostBytes)
            {
                return (long)bytes;
            }

            result.AddError($"Invalid {option[2..].Replace('-', '_')}: {option} is {text}, {bytes} B; it must be from {least} to {MostBytes} B.");
        }
        catch (FormatException refusal)
        {
            result.AddError($"{option}: {refusal.Message}");
        }

        return 0;
    };

    public static Func<ArgumentResult, int> Number(string option, int least, int most) => result =>
    {
        var text = result.Tokens.Single().Value;
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number < least || number > most)
        {
            result.AddError($"{option} is '{text}'; a whole number from {least} to {most} is expected.");
        }

        return number;
    };

    public static void CheckTruth(string option, OptionResult result)
    {
        if (result.Tokens.Count == 1 && IsTrue(result.Tokens[0].Value) is null)
        {
            result.AddError(
                $"{option} is '{result.Tokens[0].Value}'; one of true, false, 1, 0, yes, no, on, off, t, f, y, n is expected, in any case.");
        }
    }

    /// <returns>Null where the text is neither true nor false.</returns>
    public static bool? IsTrue(string text) => text.ToLowerInvariant() switch
    {
        "true" or "1" or "yes" or "on" or "t" or "y" => true,
        "false" or "0" or "no" or "off" or "f" or "n" => false,
        _ => null,
    };
}
