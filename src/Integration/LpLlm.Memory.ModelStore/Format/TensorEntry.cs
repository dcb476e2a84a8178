using System.Globalization;
using System.Text;
using System.Text.Json;

namespace LpLlm.Memory.Models;

/// <summary>One tensor's entry in the index and, with its storage offset as a sixth value, in the file of checks.</summary>
internal static class TensorEntry
{
    private const string Form = "[offset, size, [shape], [stride], \"torch.bfloat16\"";

    public static List<TensorInfo> ReadAll(ModelFolder folder, string path, JsonElement root, bool hasStorageOffset)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw folder.Damaged(path, $"has a JSON {root.ValueKind} where an object of tensors is expected.");
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        var tensors = new List<TensorInfo>();
        foreach (var property in root.EnumerateObject())
        {
            tensors.Add(names.Add(property.Name)
                ? Read(folder, path, property, hasStorageOffset)
                : throw folder.Damaged(path, $"tensor '{property.Name}' is there twice."));
        }

        return tensors;
    }

    /// <summary>Appends <c>"name": [offset, size, [shape], [stride], "type"]</c> as Python's json.dumps does.</summary>
    public static void Append(StringBuilder text, TensorInfo tensor, bool withStorageOffset)
    {
        PythonText.AppendQuoted(text, tensor.Name);
        text.Append(CultureInfo.InvariantCulture, $": [{tensor.OffsetBytes}, {tensor.LengthBytes}, ");
        text.Append(Format(tensor.Shape)).Append(", ").Append(Format(tensor.Strides)).Append(", ");
        PythonText.AppendQuoted(text, tensor.ElementType);
        text.Append(withStorageOffset ? string.Create(CultureInfo.InvariantCulture, $", {tensor.StorageOffset}]") : "]");
    }

    public static string Format(IEnumerable<long> lengths) => $"[{string.Join(", ", lengths)}]";

    private static TensorInfo Read(ModelFolder folder, string path, JsonProperty property, bool hasStorageOffset)
    {
        var value = property.Value;
        long storageOffset = 0;
        if (!(value.ValueKind == JsonValueKind.Array
            && value.GetArrayLength() == (hasStorageOffset ? 6 : 5)
            && TryGetCount(value[0], out var offset)
            && TryGetCount(value[1], out var length)
            && TryGetCounts(value[2], out var shape)
            && TryGetCounts(value[3], out var strides)
            && value[4].ValueKind == JsonValueKind.String
            && (!hasStorageOffset || TryGetCount(value[5], out storageOffset))))
        {
            throw folder.Damaged(
                path,
                $"tensor '{property.Name}' is {value.GetRawText()}; {Form}{(hasStorageOffset ? ", storage offset" : "")}] with whole numbers from 0 is expected.");
        }

        var tensor = new TensorInfo(property.Name, offset, length, shape, strides, value[4].GetString()!, storageOffset);
        Check(folder, path, tensor);
        return tensor;
    }

    private static void Check(ModelFolder folder, string path, TensorInfo tensor)
    {
        var type = ElementType.FindTorch(tensor.ElementType)
            ?? throw folder.Damaged(path, $"tensor '{tensor.Name}' has elements of type '{tensor.ElementType}', which is not known.");
        if (tensor.Shape.Count != tensor.Strides.Count)
        {
            throw folder.Damaged(
                path,
                $"tensor '{tensor.Name}' has shape {Format(tensor.Shape)} but strides {Format(tensor.Strides)}; one stride for each dimension is expected.");
        }

        var end = TensorExtent.EndBytes(tensor.Shape, tensor.Strides, tensor.StorageOffset, type.SizeBytes);
        if (end > tensor.LengthBytes)
        {
            throw folder.Damaged(
                path,
                $"tensor '{tensor.Name}' with shape {Format(tensor.Shape)}, strides {Format(tensor.Strides)} and offset {tensor.StorageOffset} of {tensor.ElementType} "
                + $"reaches to byte {end} of its storage, which has {tensor.LengthBytes} B.");
        }
    }

    private static bool TryGetCounts(JsonElement element, out long[] counts)
    {
        counts = element.ValueKind == JsonValueKind.Array ? new long[element.GetArrayLength()] : [];
        for (var i = 0; i < counts.Length; i++)
        {
            if (!TryGetCount(element[i], out counts[i]))
            {
                return false;
            }
        }

        return element.ValueKind == JsonValueKind.Array;
    }

    private static bool TryGetCount(JsonElement element, out long count)
    {
        count = 0;
        return element.ValueKind == JsonValueKind.Number && element.TryGetInt64(out count) && count >= 0;
    }
}
