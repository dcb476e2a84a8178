namespace LpLlm.Memory.Tests.Server;

/// <summary>A command of a <see cref="Puppet"/> failed there.</summary>
internal sealed class PuppetException(string command, string type, string code, string text) : Exception($"{command}: {type} {code} {text}")
{
    /// <summary>Name of the exception's type.</summary>
    public string Type { get; } = type;

    /// <summary>Of a fault that travelled, else <c>-</c>.</summary>
    public string Code { get; } = code;

    public string Text { get; } = text;
}
