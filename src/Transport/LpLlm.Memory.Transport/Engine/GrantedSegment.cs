namespace LpLlm.Memory.Transport.Engine;

/// <summary>A segment under the id that its lease gave it: random, never used again.</summary>
internal readonly record struct GrantedSegment(ulong Id, Segment Segment);
