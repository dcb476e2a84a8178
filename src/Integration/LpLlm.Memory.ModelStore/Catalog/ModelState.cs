namespace LpLlm.Memory.Models;

/// <summary>What is known of a model, and where it is.</summary>
internal enum ModelState
{
    /// <summary>On disk only.</summary>
    Registered,

    /// <summary>On its way into memory.</summary>
    Loading,

    /// <summary>In memory.</summary>
    Loaded,

    /// <summary>On disk only, because the last load failed.</summary>
    Failed,
}
