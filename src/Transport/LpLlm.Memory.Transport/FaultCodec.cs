using Google.Protobuf;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport;

/// <summary>Failures, both ways: what the server says, and what the client makes of it.</summary>
internal static class FaultCodec
{
    public static PoolFaultException Invalid(string text) => new(PoolFaultCode.InvalidArgument, text);

    public static PoolFaultException Fault(PoolFaultCode code, string text, ErrorData data) => new(code, text, data.ToByteArray());

    /// <summary>The data of a failure; empty where there is none, or none that can be read: they come from another process.</summary>
    public static ErrorData DataOf(PoolFaultException fault)
    {
        try
        {
            return ErrorData.Parser.ParseFrom(fault.Data.Span);
        }
        catch (InvalidProtocolBufferException)
        {
            return new ErrorData();
        }
    }

    /// <summary>Whether the server knows the session no longer, as opposed to a lease or a segment: then the answer names its epoch.</summary>
    public static bool IsSessionUnknown(PoolFaultException fault) => fault.Code == PoolFaultCode.NotFound && !DataOf(fault).Epoch.IsEmpty;

    /// <summary>
    /// What users of pools see: a refusal of memory is the source's (<see cref="MemorySourceException"/>), so that a pool treats it as it treats
    /// its own machine's; all else is the transport's.
    /// </summary>
    public static PinnedMemoryException ToException(PoolFaultException fault, Uri endPoint, long requestedBytes)
    {
        var server = endPoint.ToString();
        switch (fault.Code)
        {
            case PoolFaultCode.ResourceExhausted:
                var data = DataOf(fault);
                var why = data.Remedy.Length > 0 && !fault.Message.Contains(data.Remedy, StringComparison.Ordinal)
                    ? $"{fault.Message} {data.Remedy}"
                    : fault.Message;
                return new MemorySourceException(
                    $"lease from {server}", 0, "RESOURCE_EXHAUSTED", requestedBytes, data.LimitBytes > 0 ? data.LimitBytes : null, why, fault);
            case PoolFaultCode.Unavailable:
            case PoolFaultCode.Cancelled: // not by this end, which would not get here: the server ended the connection
            case PoolFaultCode.DeadlineExceeded:
                return new PoolServerUnavailableException(server, fault.Message, fault);
            case PoolFaultCode.Unimplemented:
                return new PoolProtocolException(server, fault.Message, fault);
            default:
                return new PoolRequestRejectedException(server, (int)fault.Code, fault.Message);
        }
    }
}
