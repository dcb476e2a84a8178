using System.Globalization;

namespace LpLlm.Memory.Server;

/// <summary>Turns names of users into numbers, by /etc/passwd.</summary>
internal static class UserNames
{
    public static void CheckAll(ICollection<string> errors, string name, IList<string> users)
    {
        if (OperatingSystem.IsWindows() && users.Count > 0)
        {
            errors.Add($"{name} needs Linux: on Windows a pool server serves its own user only. Leave it empty, and run a server for each user.");
            return;
        }

        for (var i = 0; i < users.Count; i++)
        {
            if (!TryResolve(users[i], out _))
            {
                errors.Add($"{name}[{i}] is '{users[i]}', and /etc/passwd has no such user; give the user's number.");
            }
        }
    }

    public static IReadOnlySet<uint> ResolveAll(IEnumerable<string> users) =>
        users.Select(user => TryResolve(user, out var id) ? id : throw new InvalidOperationException($"There is no user '{user}'.")).ToHashSet();

    private static bool TryResolve(string? user, out uint id)
    {
        // The highest number means "nobody known" to the kernel.
        if (uint.TryParse(user, NumberStyles.None, CultureInfo.InvariantCulture, out id))
        {
            return id != uint.MaxValue;
        }

        foreach (var fields in File.Exists("/etc/passwd") ? File.ReadLines("/etc/passwd").Select(line => line.Split(':')) : [])
        {
            if (fields.Length > 2 && fields[0] == user && user.Length > 0)
            {
                return uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out id);
            }
        }

        return false;
    }
}
