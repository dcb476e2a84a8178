namespace LpLlm.Memory.TestKit;

/// <summary>The one place that makes the exception by which a device refuses.</summary>
internal static class SimulatedFailure
{
    public static MemorySourceException Of(string operation, string errorName, long lengthBytes, string remedy) =>
        new(operation, nativeErrorCode: 1, errorName, lengthBytes, limitBytes: null, remedy);
}
