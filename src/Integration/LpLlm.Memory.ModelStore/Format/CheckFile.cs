using System.Globalization;
using System.Text;

namespace LpLlm.Memory.Models;

/// <summary>
/// What the original's format has no place for: storage offsets, and sums by which every change of a byte is found. The index can be written
/// anew from it.
/// </summary>
/// <param name="FileBytes">Lengths of the data files.</param>
/// <param name="IndexBytes">Length of the index.</param>
/// <param name="IndexChecksum">CRC-32C of the index.</param>
/// <param name="Records">All records in order, one behind the other.</param>
/// <param name="Tensors">The index's tensors in its order, with their storage offsets.</param>
internal sealed record CheckFile(
    IReadOnlyList<long> FileBytes,
    long IndexBytes,
    uint IndexChecksum,
    IReadOnlyList<RecordCheck> Records,
    IReadOnlyList<TensorInfo> Tensors)
{
    public const int Version = 1;

    /// <summary>Describes an index that is what <see cref="TensorIndex.Format"/> writes, or was written elsewhere.</summary>
    public static CheckFile Of(IReadOnlyList<long> fileBytes, ReadOnlySpan<byte> index, IReadOnlyList<RecordCheck> records, IReadOnlyList<TensorInfo> tensors) =>
        new(fileBytes, index.Length, Crc32C.Of(index), records, tensors);

    public byte[] Format()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{{\"version\": {Version}, \"files\": {TensorEntry.Format(FileBytes)}, ");
        text.Append(CultureInfo.InvariantCulture, $"\"index\": [{IndexBytes}, \"{IndexChecksum:x8}\"], \"records\": [");
        text.AppendJoin(", ", Records.Select(record => $"[{record.OffsetBytes}, {record.LengthBytes}, \"{record.Checksum:x8}\"]"));
        text.Append("], \"tensors\": {");
        for (var i = 0; i < Tensors.Count; i++)
        {
            text.Append(i > 0 ? ", " : "");
            TensorEntry.Append(text, Tensors[i], withStorageOffset: true);
        }

        text.Append('}');
        var body = Encoding.ASCII.GetBytes(text.ToString());
        return [.. body, .. Encoding.ASCII.GetBytes(FormatTail(Crc32C.Of(body)))];
    }

    /// <summary>The file's end, with the sum of all that is before it.</summary>
    public static string FormatTail(uint checksum) => string.Create(CultureInfo.InvariantCulture, $", \"crc32c\": \"{checksum:x8}\"}}");
}
