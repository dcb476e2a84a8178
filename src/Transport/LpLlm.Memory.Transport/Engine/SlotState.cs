namespace LpLlm.Memory.Transport.Engine;

/// <summary>What is happening to a segment.</summary>
internal enum SlotState
{
    /// <summary>In use by a session.</summary>
    Leased,

    /// <summary>Clean, and nobody's.</summary>
    Idle,

    /// <summary>Picked for a request whose other segments are still being made.</summary>
    Reserved,

    /// <summary>Nobody's, but a descriptor is on its way, or device copies drain.</summary>
    Quarantined,

    /// <summary>Being overwritten with zeros.</summary>
    Clearing,

    /// <summary>Being given up.</summary>
    Discarding,
}
