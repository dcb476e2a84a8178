using System.Text.Json;

namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>Reads <c>tensor_index.json</c>: <c>{ name: [offset, size, [shape], [stride], "torch.bfloat16"] }</c>.</summary>
internal static class TensorIndex
{
    public const string FileName = "tensor_index.json";

    public static Dictionary<string, TensorEntry> Read(string path)
    {
        using var document = JsonFile.Read(path);
        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            throw new ModelFileException(path, $"holds a JSON {document.RootElement.ValueKind}; an object of tensors is expected.");
        }

        var entries = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        foreach (var property in document.RootElement.EnumerateObject())
        {
            if (!entries.TryAdd(property.Name, ReadEntry(path, property)))
            {
                throw new ModelFileException(path, $"tensor '{property.Name}' is there twice.");
            }
        }

        return entries;
    }

    private static TensorEntry ReadEntry(string path, JsonProperty property)
    {
        var value = property.Value;
        return value.ValueKind == JsonValueKind.Array
            && value.GetArrayLength() == 5
            && TryGetCount(value[0], out var offset)
            && TryGetCount(value[1], out var length)
            && TryGetCounts(value[2], out var shape)
            && TryGetCounts(value[3], out var strides)
            && value[4].ValueKind == JsonValueKind.String
                ? new TensorEntry(property.Name, offset, length, shape, strides, value[4].GetString()!)
                : throw new ModelFileException(
                    path,
                    $"tensor '{property.Name}' is {value.GetRawText()}; "
                    + "[offset, size, [shape], [stride], \"torch.bfloat16\"] with whole numbers from 0 is expected.");
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
