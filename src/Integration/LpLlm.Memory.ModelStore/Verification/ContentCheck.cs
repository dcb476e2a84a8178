using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>Compares every byte of the data files with the file of checks. Each file stands for itself: what is lost in one does not shift the next.</summary>
internal sealed class ContentCheck : IDisposable
{
    private readonly PartitionSet _data;
    private readonly CheckFile _checks;
    private readonly CancellationToken _cancellationToken;
    private readonly ILookup<long, string> _names;
    private readonly byte[] _buffer = new byte[4 << 20];
    private SafeFileHandle? _file;

    public ContentCheck(ModelFolder folder, PartitionSet data, CheckFile checks, CancellationToken cancellationToken)
    {
        (_data, _checks, _cancellationToken) = (data, checks, cancellationToken);
        _names = checks.Tensors.Where(tensor => tensor.LengthBytes > 0).ToLookup(tensor => tensor.OffsetBytes, tensor => tensor.Name);
    }

    public IEnumerable<Finding> Run(Action<long> progress)
    {
        var startBytes = 0L;
        var number = 0;
        foreach (var record in _checks.Records)
        {
            while (record.OffsetBytes >= startBytes + _checks.FileBytes[number])
            {
                startBytes += _checks.FileBytes[number++];
                Dispose();
            }

            if (number >= _data.Partitions.Count)
            {
                yield break; // the lengths of files have said that
            }

            _cancellationToken.ThrowIfCancellationRequested();
            foreach (var finding in CheckRecord(_data.Partitions[number], record, record.OffsetBytes - startBytes))
            {
                yield return finding;
            }

            progress(record.LengthBytes);
        }
    }

    public void Dispose()
    {
        _file?.Dispose();
        _file = null;
    }

    private IEnumerable<Finding> CheckRecord(Partition partition, RecordCheck record, long offsetBytes)
    {
        var name = string.Join("', '", _names[record.OffsetBytes]);
        var (sum, presentBytes) = SumOf(partition, offsetBytes, record.LengthBytes);
        if (presentBytes < record.LengthBytes)
        {
            yield return new Finding(
                partition.Path,
                $"tensor '{name}' needs {record.LengthBytes} B from byte {offsetBytes} on; {record.LengthBytes - presentBytes} B of it are missing.",
                OffsetBytes: offsetBytes,
                LengthBytes: record.LengthBytes);
        }
        else if (sum != record.Checksum)
        {
            yield return new Finding(
                partition.Path,
                $"bytes {offsetBytes} to {offsetBytes + record.LengthBytes - 1}, tensor '{name}', were changed: their CRC-32C is {sum:x8}, but {record.Checksum:x8} was saved.",
                OffsetBytes: offsetBytes,
                LengthBytes: record.LengthBytes);
        }

        var padding = ReadPadding(partition, offsetBytes + record.LengthBytes, (int)(record.PaddedEndBytes - record.EndBytes));
        for (var i = 0; i < padding.Length; i++)
        {
            if (padding[i] != 0)
            {
                yield return new Finding(
                    partition.Path,
                    $"byte {offsetBytes + record.LengthBytes + i}, which fills up tensor '{name}', is {padding[i]:x2}; 00 is expected.",
                    RepairKind.Padding,
                    offsetBytes + record.LengthBytes + i,
                    1);
            }
        }
    }

    private (uint Sum, long PresentBytes) SumOf(Partition partition, long offsetBytes, long lengthBytes)
    {
        var sum = new Crc32C();
        for (long doneBytes = 0; doneBytes < lengthBytes;)
        {
            _cancellationToken.ThrowIfCancellationRequested();
            var part = _buffer.AsSpan(0, (int)Math.Min(_buffer.Length, lengthBytes - doneBytes));
            var readBytes = RandomAccess.Read(Open(partition), part, offsetBytes + doneBytes);
            if (readBytes == 0)
            {
                return (0, doneBytes);
            }

            sum.Append(part[..readBytes]);
            doneBytes += readBytes;
        }

        return (sum.Value, lengthBytes);
    }

    private byte[] ReadPadding(Partition partition, long offsetBytes, int lengthBytes)
    {
        var padding = new byte[lengthBytes];
        var readBytes = lengthBytes == 0 ? 0 : RandomAccess.Read(Open(partition), padding, offsetBytes);
        return padding[..readBytes];
    }

    private SafeFileHandle Open(Partition partition) => _file ??= File.OpenHandle(partition.Path, options: FileOptions.SequentialScan);
}
