namespace LpLlm.Memory;

/// <summary>The view of a hybrid pool that shows its members. A keyed service under the pool's name, wrapped or not.</summary>
public interface IHybridPool
{
    /// <summary>The members' statistics, in the order in which they are asked. Thread-safe.</summary>
    IReadOnlyList<HopStatistics> GetHops();
}
