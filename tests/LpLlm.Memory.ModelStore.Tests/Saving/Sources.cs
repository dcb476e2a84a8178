namespace LpLlm.Memory.Models;

/// <summary>Tensors to save, and what must come back.</summary>
internal static class Sources
{
    public static MemoryStorage Bytes(int lengthBytes, int seed = 1)
    {
        var bytes = new byte[lengthBytes];
        new Random(seed).NextBytes(bytes);
        return new MemoryStorage(bytes);
    }

    public static SourceTensor Tensor(string name, int lengthBytes, int seed = 1) =>
        SourceTensor.RowMajor(name, Bytes(lengthBytes, seed), [lengthBytes], "torch.uint8");

    public static byte[] Read(TensorStorage storage)
    {
        var bytes = new byte[storage.LengthBytes];
        storage.Read(0, bytes);
        return bytes;
    }

    /// <summary>A tensor's storage as it lies in a model's files.</summary>
    public static byte[] Read(Checkpoint checkpoint, TensorInfo tensor)
    {
        var partition = checkpoint.Data.Find(tensor.OffsetBytes, tensor.LengthBytes)!;
        using var file = File.OpenHandle(partition.Path);
        var bytes = new byte[tensor.LengthBytes];
        FileStorage.ReadExactly(partition.Path, file, tensor.OffsetBytes - partition.OffsetBytes, bytes);
        return bytes;
    }

    public static Task SaveAsync(ModelFolder folder, IReadOnlyList<SourceTensor> tensors, long partitionBytes = CheckpointPlan.DefaultPartitionBytes) =>
        CheckpointWriter.WriteAsync(folder, CheckpointPlan.Of(tensors, partitionBytes), []).WaitAsync(TimeSpan.FromSeconds(30));
}
