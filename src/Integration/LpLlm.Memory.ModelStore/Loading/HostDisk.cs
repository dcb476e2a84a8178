namespace LpLlm.Memory.Models;

/// <summary>The files of this host.</summary>
internal sealed class HostDisk : IModelDisk
{
    public PartitionSet Find(ModelFolder folder) => PartitionSet.Find(folder);

    public IPartitionFile Open(Partition partition) => new DirectFile(partition.Path);

    public IReadOnlyList<TensorInfo> ReadTensors(ModelFolder folder, long dataBytes)
    {
        var checkpoint = Checkpoint.Read(folder);
        return checkpoint.Data.LengthBytes == dataBytes
            ? checkpoint.Tensors
            : throw folder.Damaged(
                folder.IndexPath, $"belongs to {checkpoint.Data.LengthBytes} B of data, but {dataBytes} B were loaded: the model was saved anew; load it again.");
    }
}
