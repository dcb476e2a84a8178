using System.Numerics;

namespace LpLlm.Memory.Tests.FixedBlock;

/// <summary>
/// Searches a history for an order of its calls, each between its beginning and its end, in which a plain set of free blocks gives the same
/// answers (Wing and Gong). Which blocks are free follows from which calls are placed, so each set of placed calls is searched once.
/// </summary>
public static class LinearizabilityChecker
{
    public static bool IsLinearizable(IReadOnlyList<HistoryOperation> history, int freeBlocks)
    {
        var refuted = new HashSet<int>();
        return Search(placed: 0, freeBlocks);

        bool Search(int placed, int free)
        {
            if (BitOperations.PopCount((uint)placed) == history.Count)
            {
                return true;
            }

            if (!refuted.Add(placed))
            {
                return false;
            }

            var firstEnd = Enumerable.Range(0, history.Count).Where(i => (placed & (1 << i)) == 0).Min(i => history[i].Answered);
            for (var i = 0; i < history.Count; i++)
            {
                if ((placed & (1 << i)) == 0 && history[i].Invoked < firstEnd && TryApply(history[i], free, out var after)
                    && Search(placed | (1 << i), after))
                {
                    return true;
                }
            }

            return false;
        }
    }

    private static bool TryApply(HistoryOperation operation, int free, out int after)
    {
        after = free ^ operation.Blocks;
        return operation.IsReturn ? (free & operation.Blocks) == 0
            : operation.Blocks == 0 ? BitOperations.PopCount((uint)free) < operation.Count
            : (free & operation.Blocks) == operation.Blocks;
    }
}
