using Google.Protobuf;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Cuts lists to what a message may hold.</summary>
internal static class MessageRoom
{
    /// <summary>What stands before each entry of a list: its field's number, and its length below 2 MiB.</summary>
    private const int EntryBytes = 4;

    /// <summary>The first ones, as many as fit into three quarters of a message: the rest is for what else it says.</summary>
    /// <param name="entries">Made one at a time, as long as there is room.</param>
    /// <param name="maxMessageBytes">Of the whole message.</param>
    /// <param name="least">As many are taken whether they fit or not.</param>
    public static List<T> Take<T>(IEnumerable<T> entries, int maxMessageBytes, int least = 0)
        where T : IMessage
    {
        var room = maxMessageBytes / 4 * 3;
        return [.. entries.TakeWhile((entry, index) => (room -= entry.CalculateSize() + EntryBytes) >= 0 || index < least)];
    }
}
