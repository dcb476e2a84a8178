namespace LpLlm.Memory.Transport.Pipes;

/// <summary>The other end broke the protocol: nothing that follows on the connection can be trusted.</summary>
internal sealed class FrameException(string message) : Exception(message);
