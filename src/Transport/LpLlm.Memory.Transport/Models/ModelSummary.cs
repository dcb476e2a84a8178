namespace LpLlm.Memory.Transport.Models;

/// <summary>A model, for people.</summary>
/// <param name="Model">Its path.</param>
/// <param name="State">registered, loading, loaded or failed.</param>
/// <param name="LengthBytes">Length of its data.</param>
/// <param name="LoadedBytes">Bytes in memory.</param>
/// <param name="UseCount">Clients that have it open.</param>
/// <param name="LoadTime">How long its load took; null unless it is loaded.</param>
/// <param name="Failure">Why the last load failed; empty if it did not.</param>
internal sealed record ModelSummary(
    string Model, string State, long LengthBytes, long LoadedBytes, int UseCount, TimeSpan? LoadTime, string Failure);
