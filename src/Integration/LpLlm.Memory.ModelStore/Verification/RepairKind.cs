namespace LpLlm.Memory.Models;

/// <summary>How a damage can be undone for certain.</summary>
internal enum RepairKind
{
    /// <summary>Not at all: what is lost stands nowhere else.</summary>
    None,

    /// <summary>The index can be written anew from the file of checks, byte for byte.</summary>
    Index,

    /// <summary>The file of checks can be written anew from the index, if that leaves nothing open.</summary>
    Checks,

    /// <summary>The bytes between records are zeros.</summary>
    Padding,
}
