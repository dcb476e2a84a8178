namespace LpLlm.Memory.Server;

/// <summary>How end points are written in options.</summary>
internal static class PoolEndPoint
{
    /// <summary>The server of this very process.</summary>
    public const string Embedded = "embedded";

    private const string Form = "pipe:///path, grpc://host:port, grpc+unix:///path or embedded";

    public static Uri EmbeddedUri { get; } = new("loopback://embedded");

    public static bool IsEmbedded(string text) => text == Embedded;

    /// <summary>The end point of a socket, or of a pipe by its name on Windows; what would mean something else in an address is escaped.</summary>
    public static string OfSocket(string path) => OperatingSystem.IsWindows()
        ? $"pipe:///{Uri.EscapeDataString(path)}"
        : $"pipe://{string.Join('/', Path.GetFullPath(path).Split('/').Select(Uri.EscapeDataString))}";

    /// <summary>Turns a text that was checked into an address.</summary>
    public static Uri Parse(string text) => IsEmbedded(text) ? EmbeddedUri : new Uri(text, UriKind.Absolute);

    /// <summary>An address as people write it.</summary>
    public static string Format(Uri endPoint) => endPoint.ToString().TrimEnd('/');

    public static void CheckAll(ICollection<string> errors, string name, IList<string> texts)
    {
        for (var i = 0; i < texts.Count; i++)
        {
            Check(errors, $"{name}[{i}]", texts[i]);
        }
    }

    public static void Check(ICollection<string> errors, string name, string? text)
    {
        // A path alone is an absolute file:// address on Unix, so the scheme must be there in the text.
        if (string.IsNullOrEmpty(text)
            || (!IsEmbedded(text) && !(text.Contains("://", StringComparison.Ordinal) && Uri.TryCreate(text, UriKind.Absolute, out _))))
        {
            errors.Add($"{name} is {(string.IsNullOrEmpty(text) ? "missing" : $"'{text}'")}; {Form} is expected.");
        }
    }
}
