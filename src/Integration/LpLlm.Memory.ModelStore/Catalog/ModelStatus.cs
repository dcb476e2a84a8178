namespace LpLlm.Memory.Models;

/// <summary>A model at one instant.</summary>
/// <param name="Model">Its path under the storage path.</param>
/// <param name="State">Where it is.</param>
/// <param name="IsRegistered">False for one that is in memory but was registered before <see cref="ModelCatalog.ClearAsync"/>.</param>
/// <param name="LengthBytes">Its length.</param>
/// <param name="LoadedBytes">Bytes in memory: grows while it loads.</param>
/// <param name="UseCount">Uses that keep it in memory.</param>
/// <param name="LastUsed">When it was last asked for or last let go of.</param>
/// <param name="LoadTime">How long its load took; null until it is loaded.</param>
/// <param name="Failure">Why the last load failed; null if it did not.</param>
internal sealed record ModelStatus(
    string Model,
    ModelState State,
    bool IsRegistered,
    long LengthBytes,
    long LoadedBytes,
    int UseCount,
    DateTimeOffset LastUsed,
    TimeSpan? LoadTime,
    Exception? Failure);
