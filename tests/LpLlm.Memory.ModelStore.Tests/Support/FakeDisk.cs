using System.Collections.Concurrent;

namespace LpLlm.Memory.Models;

/// <summary>
/// Models that exist as lengths and a formula for their bytes. Direct reads are refused unless aligned, and write whole blocks, what is behind
/// the end of a file included, as the kernel may.
/// </summary>
internal sealed unsafe class FakeDisk : IModelDisk
{
    private readonly ConcurrentDictionary<string, int[]> _models = new();
    private readonly ConcurrentDictionary<string, int> _openFiles = new();
    private int _reads;

    /// <summary>Whether files allow direct reads; looked at when a file is opened.</summary>
    public bool IsDirect { get; init; } = true;

    /// <summary>Whether some parts of files are in the page cache.</summary>
    public bool HasCache { get; init; }

    /// <summary>Called before each read, with the model and the byte over all files; may block or throw.</summary>
    public Action<string, long>? Reading { get; set; }

    /// <summary>Bytes by which each file is shorter than when it was found.</summary>
    public int CutBytes { get; set; }

    /// <summary>Called before each file is opened; may throw.</summary>
    public Action<Partition>? Opening { get; set; }

    /// <summary>What the index says; fails the reading of it where it throws.</summary>
    public Func<string, IReadOnlyList<TensorInfo>> Tensors { get; set; } = _ => [];

    public int Reads => Volatile.Read(ref _reads);

    public int OpenFiles => _openFiles.Values.Sum();

    public void Add(string model, params int[] partitionBytes) => _models[model] = partitionBytes;

    public void Remove(string model) => _models.TryRemove(model, out _);

    public static byte ByteAt(string model, long offset) => (byte)((offset * 31) + (offset >> 12) + model[^1]);

    /// <summary>Whether memory holds a model, all of it and nothing else.</summary>
    public static bool IsIn(string model, ModelUse use)
    {
        var bytes = NativeModelMemory.BytesOf(use);
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != ByteAt(model, i))
            {
                return false;
            }
        }

        return bytes.Length == use.LengthBytes;
    }

    public PartitionSet Find(ModelFolder folder)
    {
        if (!_models.TryGetValue(folder.Model, out var lengths))
        {
            throw new ModelStoreException(ModelStoreFault.NotFound, folder.Model, "there is none.");
        }

        var partitions = new List<Partition>();
        foreach (var length in lengths)
        {
            partitions.Add(new Partition(folder.PartitionPath(partitions.Count), partitions.Count == 0 ? 0 : partitions[^1].EndBytes, length));
        }

        return new PartitionSet(partitions);
    }

    public IPartitionFile Open(Partition partition)
    {
        Opening?.Invoke(partition);
        _openFiles.AddOrUpdate(partition.Path, 1, (_, count) => count + 1);
        return new FakeFile(this, Path.GetFileName(Path.GetDirectoryName(partition.Path))!, partition);
    }

    public IReadOnlyList<TensorInfo> ReadTensors(ModelFolder folder, long dataBytes) => Tensors(folder.Model);

    private sealed class FakeFile(FakeDisk disk, string model, Partition partition) : IPartitionFile
    {
        private readonly long _length = partition.LengthBytes - disk.CutBytes;
        private int _disposed;

        public bool IsDirect => disk.IsDirect;

        public long LengthBytes => _length;

        /// <summary>The page cache has every third part, and forgets the others halfway.</summary>
        public bool TryReadCached(nint address, long lengthBytes, long offsetBytes)
        {
            var isCached = disk.HasCache && offsetBytes / (64 << 10) % 3 == 0;
            var bytes = new Span<byte>((void*)address, (int)(isCached ? lengthBytes : disk.HasCache ? lengthBytes / 2 : 0));
            for (var i = 0; i < bytes.Length; i++)
            {
                bytes[i] = isCached ? ByteAt(model, partition.OffsetBytes + offsetBytes + i) : (byte)0xCC;
            }

            return isCached;
        }

        public long Read(nint address, long lengthBytes, long offsetBytes)
        {
            Interlocked.Increment(ref disk._reads);
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
            disk.Reading?.Invoke(model, partition.OffsetBytes + offsetBytes);
            if (IsDirect && (address % 4096 != 0 || lengthBytes % 4096 != 0 || offsetBytes % 4096 != 0))
            {
                throw new InvalidOperationException($"A direct read of {lengthBytes} B at byte {offsetBytes} to {address:x}.");
            }

            // A read may stop early between blocks: half of the reads do.
            var most = lengthBytes >= 8192 && disk.Reads % 2 == 0 ? lengthBytes / 8192 * 4096 : lengthBytes;
            var read = Math.Clamp(_length - offsetBytes, 0, most);
            for (long i = 0; i < read; i++)
            {
                ((byte*)address)[i] = ByteAt(model, partition.OffsetBytes + offsetBytes + i);
            }

            if (IsDirect)
            {
                new Span<byte>((byte*)address + read, (int)((4096 - (read % 4096)) % 4096)).Fill(0xEE);
            }

            return read;
        }

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0)
            {
                disk._openFiles.AddOrUpdate(partition.Path, 0, (_, count) => count - 1);
            }
        }
    }
}
