using System.Globalization;
using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Transport.Grpc.Wire;

/// <summary>How a call ended, as it travels: <c>grpc-status</c>, <c>grpc-message</c> in percent-encoded UTF-8, and data in base64.</summary>
internal readonly record struct GrpcStatus(int Code, string Text, ReadOnlyMemory<byte> Data)
{
    /// <summary>gRPC's C core refuses a call whose trailers have more than 8 KiB, and the error would be lost with them.</summary>
    private const int MaxTextLength = 4096;

    public static GrpcStatus Ok => new(0, "", default);

    public static GrpcStatus Of(PoolFaultException fault)
    {
        fault = FaultText.Cut(fault);
        return new GrpcStatus((int)fault.Code, fault.Message, fault.Data);
    }

    /// <summary>Hands the headers to send to a writer.</summary>
    public void Write(Action<string, string> header)
    {
        header(GrpcNames.Status, Code.ToString(CultureInfo.InvariantCulture));
        if (Text.Length > 0)
        {
            header(GrpcNames.Message, Escape(Text));
        }

        if (!Data.IsEmpty)
        {
            header(GrpcNames.ErrorData, Convert.ToBase64String(Data.Span));
        }
    }

    /// <summary>Reads a status from headers or trailers; null if there is none, or it is no number.</summary>
    public static GrpcStatus? Read(Func<string, string?> header)
    {
        if (!int.TryParse(header(GrpcNames.Status), NumberStyles.None, CultureInfo.InvariantCulture, out var code))
        {
            return null;
        }

        var text = header(GrpcNames.Message) is { } message ? Uri.UnescapeDataString(message) : "";
        return new GrpcStatus(code, text, ReadData(header(GrpcNames.ErrorData)));
    }

    /// <exception cref="PoolFaultException">The status is an error.</exception>
    public void ThrowIfError()
    {
        if (Code != 0)
        {
            // Codes to come are Unknown: that is what gRPC says of them.
            var code = Enum.IsDefined((PoolFaultCode)Code) ? (PoolFaultCode)Code : PoolFaultCode.Unknown;
            throw new PoolFaultException(code, Text.Length > 0 ? Text : $"The server answered status {Code} without a text.", Data);
        }
    }

    /// <summary>A character has up to 12 places; what is too long ends between two.</summary>
    private static string Escape(string text)
    {
        var escaped = Uri.EscapeDataString(text);
        var end = Math.Min(escaped.Length, MaxTextLength);
        while (end < escaped.Length && !IsStart(escaped, end))
        {
            end--;
        }

        return escaped[..end];

        // Neither within %XX, nor at a byte that continues a character: 80 to BF.
        static bool IsStart(string escaped, int i) =>
            escaped[i - 1] != '%' && escaped[i - 2] != '%' && !(escaped[i] == '%' && escaped[i + 1] is '8' or '9' or 'A' or 'B');
    }

    private static byte[] ReadData(string? text)
    {
        if (text is null)
        {
            return [];
        }

        // gRPC allows base64 without its padding.
        var bytes = new byte[FaultText.MaxDataBytes];
        return Convert.TryFromBase64String(text.PadRight((text.Length + 3) & ~3, '='), bytes, out var length) ? bytes[..length] : [];
    }
}
