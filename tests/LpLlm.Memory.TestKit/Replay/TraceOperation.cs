namespace LpLlm.Memory.TestKit.Replay;

/// <summary>What a line of a trace says.</summary>
public enum TraceOperation
{
    /// <summary>A block was rented, by whichever call.</summary>
    Rent,

    /// <summary>A rent found no room.</summary>
    Fail,

    /// <summary>A block was returned, at once or behind a fence.</summary>
    Return,
}
