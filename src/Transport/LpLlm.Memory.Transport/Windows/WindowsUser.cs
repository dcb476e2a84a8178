using System.Globalization;
using System.Runtime.Versioning;
using System.Security.Principal;

namespace LpLlm.Memory.Transport.Windows;

/// <summary>The user whom this process runs as. A pool server has no other clients on Windows.</summary>
[SupportedOSPlatform("windows")]
internal static class WindowsUser
{
    /// <summary>What Windows knows the user by.</summary>
    public static SecurityIdentifier Sid { get; } = ReadSid();

    /// <summary>The last part of that: unlike a Linux user's number it says nothing of users of other machines or domains, and nobody asks it to.</summary>
    public static uint Id { get; } = uint.Parse(Sid.Value.AsSpan(Sid.Value.LastIndexOf('-') + 1), NumberStyles.None, CultureInfo.InvariantCulture);

    private static SecurityIdentifier ReadSid()
    {
        using var identity = WindowsIdentity.GetCurrent();
        return identity.User ?? throw new InvalidOperationException("This process runs as no user: a pool server and its clients need one.");
    }
}
