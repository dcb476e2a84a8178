using System.Text.Json;

namespace LpLlm.Memory.Models;

/// <summary>The header of a safetensors file: <c>{ name: { dtype, shape, data_offsets } }</c>, and texts under <c>__metadata__</c>.</summary>
/// <param name="Entries">In the order of the header.</param>
/// <param name="Metadata">Texts by name.</param>
internal sealed record SafetensorsHeader(IReadOnlyList<SafetensorsEntry> Entries, IReadOnlyDictionary<string, string> Metadata)
{
    private const string MetadataName = "__metadata__";

    /// <param name="path">For messages.</param>
    /// <param name="text">The header.</param>
    /// <param name="dataStart">Where in the file the data begin.</param>
    /// <param name="fileBytes">Where they must end.</param>
    /// <param name="target">For messages.</param>
    /// <exception cref="ModelStoreException">The header is damaged, or does not describe all bytes of the file exactly once.</exception>
    public static SafetensorsHeader Parse(string path, ReadOnlyMemory<byte> text, long dataStart, long fileBytes, ModelFolder target)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return Read(path, document.RootElement, dataStart, fileBytes, target);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw target.Damaged(path, $"its header of {text.Length} B is not the JSON that it should be: {e.Message}", e);
        }
    }

    private static SafetensorsHeader Read(string path, JsonElement root, long dataStart, long fileBytes, ModelFolder target)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw target.Damaged(path, $"its header is a JSON {root.ValueKind}; an object of tensors is expected.");
        }

        var entries = new List<SafetensorsEntry>();
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var property in root.EnumerateObject())
        {
            if (!names.Add(property.Name))
            {
                throw target.Damaged(path, $"'{property.Name}' is there twice.");
            }

            if (property.Name == MetadataName)
            {
                foreach (var pair in property.Value.EnumerateObject())
                {
                    metadata[pair.Name] = pair.Value.GetString() ?? throw target.Damaged(path, $"'{pair.Name}' of {MetadataName} is null; a text is expected.");
                }
            }
            else
            {
                entries.Add(ReadEntry(path, property, dataStart, target));
            }
        }

        CheckRanges(path, entries, dataStart, fileBytes, target);
        return new SafetensorsHeader(entries, metadata);
    }

    private static SafetensorsEntry ReadEntry(string path, JsonProperty property, long dataStart, ModelFolder target)
    {
        var value = property.Value;
        if (value.ValueKind != JsonValueKind.Object
            || !value.TryGetProperty("dtype", out var dtype) || dtype.ValueKind != JsonValueKind.String
            || !value.TryGetProperty("shape", out var shapes) || !TryGetCounts(shapes, out var shape)
            || !value.TryGetProperty("data_offsets", out var offsets) || !TryGetCounts(offsets, out var range)
            || range.Length != 2 || range[1] < range[0] || range[1] > long.MaxValue - dataStart)
        {
            throw target.Damaged(
                path, $"tensor '{property.Name}' is {value.GetRawText()}; {{\"dtype\": text, \"shape\": [counts], \"data_offsets\": [begin, end]}} is expected.");
        }

        var type = ElementType.FindSafetensors(dtype.GetString()!)
            ?? throw target.Damaged(path, $"tensor '{property.Name}' has elements of type '{dtype.GetString()}', which is not supported.");
        return range[1] - range[0] == SizeOf(shape, type) && CanStride(shape)
            ? new SafetensorsEntry(property.Name, type, shape, dataStart + range[0], range[1] - range[0])
            : throw target.Damaged(
                path,
                $"tensor '{property.Name}' of shape {TensorEntry.Format(shape)} of {type.Safetensors} has {range[1] - range[0]} B; {SizeOf(shape, type)} B are expected.");
    }

    /// <summary>Bytes of a shape, cut off where no file is as long.</summary>
    private static Int128 SizeOf(long[] shape, ElementType type) =>
        shape.Contains(0) ? 0 : shape.Aggregate((Int128)type.SizeBytes, (bytes, length) => Int128.Min(bytes * length, long.MaxValue));

    /// <summary>Strides of a tensor without elements come from its other dimensions, which may be absurd.</summary>
    private static bool CanStride(long[] shape) =>
        shape.Aggregate((Int128)1, (step, length) => Int128.Min(step * Math.Max(length, 1), long.MaxValue)) < long.MaxValue;

    private static bool TryGetCounts(JsonElement element, out long[] counts)
    {
        counts = element.ValueKind == JsonValueKind.Array ? new long[element.GetArrayLength()] : [];
        for (var i = 0; i < counts.Length; i++)
        {
            if (element[i].ValueKind != JsonValueKind.Number || !element[i].TryGetInt64(out counts[i]) || counts[i] < 0)
            {
                return false;
            }
        }

        return element.ValueKind == JsonValueKind.Array;
    }

    private static void CheckRanges(string path, List<SafetensorsEntry> entries, long dataStart, long fileBytes, ModelFolder target)
    {
        var end = dataStart;
        foreach (var entry in entries.OrderBy(entry => entry.OffsetBytes).ThenBy(entry => entry.LengthBytes))
        {
            if (entry.OffsetBytes != end)
            {
                throw target.Damaged(
                    path, $"tensor '{entry.Name}' begins at byte {entry.OffsetBytes - dataStart} of the data; {end - dataStart} is expected, without gap or overlap.");
            }

            end += entry.LengthBytes;
        }

        if (end != fileBytes)
        {
            throw target.Damaged(path, $"has {fileBytes} B, but its header describes {end} B: it is cut short, or is longer than it should be.");
        }
    }
}
