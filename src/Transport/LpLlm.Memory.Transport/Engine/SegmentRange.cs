namespace LpLlm.Memory.Transport.Engine;

/// <summary>A part of a segment as a client names it: not checked yet.</summary>
internal readonly record struct SegmentRange(ulong SegmentId, long OffsetBytes, long LengthBytes);
