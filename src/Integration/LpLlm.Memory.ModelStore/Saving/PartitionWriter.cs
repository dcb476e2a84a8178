using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>Writes data files through a ring of buffers: one is filled while the others are on their way to the disk. One file at a time.</summary>
/// <remarks>
/// Direct writes must have a length that is a multiple of the disk's block, so the last one is filled up with zeros and the file is cut to its
/// length afterwards: the original writes the odd length itself, is refused, and loses the tail.
/// </remarks>
internal sealed class PartitionWriter : IDisposable
{
    private const int BufferBytes = 8 << 20; // measured: writes of 1 MiB 0.5 GB/s, of 8 MiB 0.6, of 32 MiB 0.5

    // More than two, so that the disk has something to do while a busy machine lets this process wait.
    private readonly AlignedBuffer[] _buffers = [new(BufferBytes), new(BufferBytes), new(BufferBytes), new(BufferBytes)];
    private readonly Task[] _pending = [Task.CompletedTask, Task.CompletedTask, Task.CompletedTask, Task.CompletedTask];
    private readonly Action<long> _written;
    private int _current;
    private int _filledBytes;
    private long _fileBytes;
    private volatile bool _isDirect;

    /// <param name="written">Told of bytes that were handed to the disk.</param>
    public PartitionWriter(Action<long> written) => _written = written;

    /// <returns>The records' sums, in order.</returns>
    /// <exception cref="IOException">The disk refused, or a source cannot be read.</exception>
    public async Task<List<RecordCheck>> WriteAsync(string path, IReadOnlyList<PlannedRecord> records, CancellationToken cancellationToken)
    {
        var (file, isDirect) = SaveNative.CreateFile(path, direct: true);
        _isDirect = isDirect;
        using (file)
        {
            (_filledBytes, _fileBytes) = (0, 0);
            try
            {
                var checks = new List<RecordCheck>(records.Count);
                foreach (var record in records)
                {
                    checks.Add(await WriteRecordAsync(file, path, record, cancellationToken).ConfigureAwait(false));
                }

                await FlushAsync(file, path).ConfigureAwait(false);
                await Task.WhenAll(_pending).ConfigureAwait(false);
                SaveNative.Truncate(file, path, _fileBytes);
                SaveNative.Sync(file, path);
                return checks;
            }
            finally
            {
                // After a failure the other buffers may still be in use; that failure is what the caller is told.
                await Task.WhenAll(_pending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                _pending.AsSpan().Fill(Task.CompletedTask);
            }
        }
    }

    public void Dispose()
    {
        foreach (var buffer in _buffers)
        {
            buffer.Dispose();
        }
    }

    private async Task<RecordCheck> WriteRecordAsync(SafeFileHandle file, string path, PlannedRecord record, CancellationToken cancellationToken)
    {
        var sum = new Crc32C();
        var lengthBytes = record.Storage.LengthBytes;
        for (long doneBytes = 0; doneBytes < lengthBytes;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var partBytes = (int)Math.Min(lengthBytes - doneBytes, BufferBytes - _filledBytes);
            var part = _buffers[_current].Span.Slice(_filledBytes, partBytes);
            record.Storage.Read(doneBytes, part);
            sum.Append(part);
            doneBytes += partBytes;
            await AdvanceAsync(file, path, partBytes).ConfigureAwait(false);
        }

        // Records begin at multiples of 8, as does the buffer, so the zeros never reach over its end.
        var paddingBytes = (int)(record.PaddedBytes - lengthBytes);
        if (paddingBytes > 0)
        {
            _buffers[_current].Span.Slice(_filledBytes, paddingBytes).Clear();
            await AdvanceAsync(file, path, paddingBytes).ConfigureAwait(false);
        }

        return new RecordCheck(record.OffsetBytes, lengthBytes, sum.Value);
    }

    private ValueTask AdvanceAsync(SafeFileHandle file, string path, int bytes)
    {
        _filledBytes += bytes;
        return _filledBytes < BufferBytes ? ValueTask.CompletedTask : FlushAsync(file, path);
    }

    private async ValueTask FlushAsync(SafeFileHandle file, string path)
    {
        var (buffer, filledBytes, offsetBytes) = (_buffers[_current], _filledBytes, _fileBytes);
        _pending[_current] = Task.Run(() => Write(file, path, buffer.Span, filledBytes, offsetBytes), CancellationToken.None);
        (_current, _filledBytes, _fileBytes) = ((_current + 1) % _buffers.Length, 0, _fileBytes + filledBytes);
        _written(filledBytes);
        await _pending[_current].ConfigureAwait(false);
    }

    private void Write(SafeFileHandle file, string path, Span<byte> buffer, int filledBytes, long offsetBytes)
    {
        if (_isDirect)
        {
            var roundedBytes = (filledBytes + AlignedBuffer.AlignmentBytes - 1) & -AlignedBuffer.AlignmentBytes;
            buffer[filledBytes..roundedBytes].Clear();
            try
            {
                SaveNative.Write(file, path, buffer[..roundedBytes], offsetBytes);
                return;
            }
            catch (IOException e) when (e.HResult == SaveNative.InvalidArgument)
            {
                // Some file systems take the flag but not the writes, or a disk has larger blocks than 4 KiB.
                SaveNative.StopDirect(file, path);
                _isDirect = false;
            }
        }

        SaveNative.Write(file, path, buffer[..filledBytes], offsetBytes);
    }
}
