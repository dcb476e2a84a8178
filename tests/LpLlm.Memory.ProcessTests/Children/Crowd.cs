using System.Globalization;
using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Tests.Children;

/// <summary>Many sessions of one process at once.</summary>
internal static class Crowd
{
    /// <summary>Keeps them, so that they last as long as the process.</summary>
    private static readonly List<SessionPuppet> Members = [];

    /// <param name="arguments">End point, number of sessions, bytes that each asks for (0: none), and how long it waits for them.</param>
    /// <returns>How many got in, and how many of them got their bytes.</returns>
    public static async Task<string> RunAsync(string[] arguments)
    {
        var members = Enumerable.Range(0, int.Parse(arguments[1], CultureInfo.InvariantCulture))
            .Select(_ => new SessionPuppet(new Uri(arguments[0])))
            .ToList();
        Members.AddRange(members);
        var outcomes = await Task.WhenAll(members.Select((member, seed) => JoinAsync(member, seed, arguments[2], arguments[3])));
        return $"{outcomes.Count(outcome => outcome.Entered)} {outcomes.Count(outcome => outcome.Served)}";
    }

    private static async Task<(bool Entered, bool Served)> JoinAsync(SessionPuppet member, int seed, string lengthBytes, string timeoutMs)
    {
        var entered = false;
        try
        {
            await member.DoAsync(["connect"]);
            await member.DoAsync(["hello"]);
            entered = true;
            if (lengthBytes == "0")
            {
                return (entered, false);
            }

            await member.DoAsync(["acquire", lengthBytes, timeoutMs]);
        }
        catch (Exception refusal) when (refusal is PoolFaultException { Code: PoolFaultCode.ResourceExhausted } or PoolServerUnavailableException)
        {
            return (entered, false);
        }

        var pattern = seed.ToString(CultureInfo.InvariantCulture);
        await member.DoAsync(["map"]);
        await member.DoAsync(["fill", pattern]);
        return (entered, await member.DoAsync(["check", pattern]) == "0");
    }
}
