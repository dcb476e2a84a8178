using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Models;

internal static class Faults
{
    /// <summary>What a call of the store fails with; null if it does not.</summary>
    public static async Task<ModelStoreFault?> OfAsync(Func<Task> call)
    {
        try
        {
            await call().DefaultTimeout();
            return null;
        }
        catch (ModelStoreException e)
        {
            return e.Fault;
        }
    }
}
