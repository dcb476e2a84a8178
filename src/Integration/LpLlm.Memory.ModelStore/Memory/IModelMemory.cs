namespace LpLlm.Memory.Models;

/// <summary>Where models' memory comes from: a pool of this process, or the pool server's segments. Thread-safe.</summary>
internal interface IModelMemory
{
    /// <summary>Takes memory for a model; waits for room that is becoming free, but evicts nothing itself.</summary>
    /// <exception cref="ModelStoreException">There is no room (<see cref="ModelStoreFault.NoRoom"/>): the catalog evicts and asks again.</exception>
    ValueTask<ModelAllocation> AllocateAsync(string model, long lengthBytes, CancellationToken cancellationToken);
}
