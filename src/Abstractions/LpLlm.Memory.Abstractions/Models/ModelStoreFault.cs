namespace LpLlm.Memory;

/// <summary>Why a model cannot be had.</summary>
public enum ModelStoreFault
{
    /// <summary>There is no such model, or it is not registered and the store insists on it.</summary>
    NotFound,

    /// <summary>Its files are not what they must be.</summary>
    Damaged,

    /// <summary>The disk refused or failed.</summary>
    Unreadable,

    /// <summary>There is no room, and nothing that could be evicted.</summary>
    NoRoom,

    /// <summary>It is in use, so that it cannot be taken away.</summary>
    InUse,

    /// <summary>There is no device, or it refused or failed when the model was copied to it.</summary>
    DeviceFailed,
}
