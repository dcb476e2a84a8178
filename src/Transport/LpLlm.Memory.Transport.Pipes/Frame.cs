namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A frame that has arrived.</summary>
/// <param name="Header">As sent.</param>
/// <param name="Message">Payload and descriptors, owned by the receiver; null if the payload is longer than allowed and was not kept.</param>
internal readonly record struct Frame(FrameHeader Header, PoolMessage? Message);
