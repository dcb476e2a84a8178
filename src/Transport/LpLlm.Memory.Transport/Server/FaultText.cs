namespace LpLlm.Memory.Transport.Server;

/// <summary>Bounds what travels of a fault, so that an error never is too long to be told.</summary>
internal static class FaultText
{
    public const int MaxCharacters = 4096;
    public const int MaxDataBytes = 4096;

    /// <summary>The text, or its start where it is too long; never half a character.</summary>
    public static string Cut(string text) =>
        text.Length <= MaxCharacters ? text : text[..(char.IsHighSurrogate(text[MaxCharacters - 1]) ? MaxCharacters - 1 : MaxCharacters)];

    /// <summary>The fault as it travels. Data that is too long does not: half of it could not be decoded.</summary>
    public static PoolFaultException Cut(PoolFaultException fault) =>
        fault.Message.Length <= MaxCharacters && fault.Data.Length <= MaxDataBytes
            ? fault
            : new PoolFaultException(fault.Code, Cut(fault.Message), fault.Data.Length <= MaxDataBytes ? fault.Data : default);
}
