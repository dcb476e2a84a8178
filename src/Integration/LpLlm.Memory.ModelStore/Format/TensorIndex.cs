using System.Text;
using System.Text.Json;

namespace LpLlm.Memory.Models;

/// <summary>The index of the original's format: <c>{ name: [offset, size, [shape], [stride], "torch.bfloat16"] }</c>.</summary>
internal static class TensorIndex
{
    /// <param name="folder">The model.</param>
    /// <param name="dataBytes">Length of all data files together, in which every tensor must lie.</param>
    /// <returns>The tensors in the order of the file.</returns>
    /// <exception cref="ModelStoreException">The file is missing, damaged or unreadable; the message names the tensor and the value.</exception>
    public static IReadOnlyList<TensorInfo> Read(ModelFolder folder, long dataBytes) =>
        Parse(folder, folder.ReadAllBytes(folder.IndexPath), dataBytes);

    public static IReadOnlyList<TensorInfo> Parse(ModelFolder folder, ReadOnlyMemory<byte> text, long dataBytes)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var tensors = TensorEntry.ReadAll(folder, folder.IndexPath, document.RootElement, hasStorageOffset: false);
            foreach (var tensor in tensors)
            {
                CheckRange(folder, tensor, dataBytes);
            }

            return tensors;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The latter is how texts are refused that are no Unicode.
            throw folder.Damaged(folder.IndexPath, $"is not the JSON that it should be ({text.Length} B): {e.Message}", e);
        }
    }

    /// <summary>The file's text, byte for byte as Python's json.dumps writes it.</summary>
    public static byte[] Format(IEnumerable<TensorInfo> tensors)
    {
        var text = new StringBuilder("{");
        foreach (var tensor in tensors)
        {
            text.Append(text.Length > 1 ? ", " : "");
            TensorEntry.Append(text, tensor, withStorageOffset: false);
        }

        return Encoding.ASCII.GetBytes(text.Append('}').ToString());
    }

    private static void CheckRange(ModelFolder folder, TensorInfo tensor, long dataBytes)
    {
        if (tensor.OffsetBytes > dataBytes || tensor.LengthBytes > dataBytes - tensor.OffsetBytes)
        {
            throw folder.Damaged(
                folder.IndexPath,
                $"tensor '{tensor.Name}' needs {tensor.LengthBytes} B from byte {tensor.OffsetBytes} on, but the data files end at byte {dataBytes}: "
                + "one is cut short or missing, or the index is not of this model.");
        }
    }
}
