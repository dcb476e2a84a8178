namespace LpLlm.Memory;

/// <summary>Which waiting rents are served first. Within one priority, first come is first served.</summary>
public enum RentPriority
{
    /// <summary>Served when nobody else waits: prefetching, warming.</summary>
    Low = -1,

    /// <summary>The default.</summary>
    Normal = 0,

    /// <summary>Served before all others: what a user waits for.</summary>
    High = 1,
}
