using System.Buffers.Binary;
using System.Text;

namespace LpLlm.Memory.Models;

/// <summary>Makes safetensors files.</summary>
internal static class SafetensorsBuilder
{
    public static byte[] File(string header, byte[]? data = null, long? headerBytes = null)
    {
        var text = Encoding.UTF8.GetBytes(header);
        var prefix = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, headerBytes ?? text.Length);
        return [.. prefix, .. text, .. data ?? []];
    }

    public static byte[] File(IEnumerable<(string Name, string Type, long[] Shape, byte[] Bytes)> tensors, string metadata = "{}")
    {
        var header = new StringBuilder("{\"__metadata__\":").Append(metadata);
        var data = new MemoryStream();
        foreach (var (name, type, shape, bytes) in tensors)
        {
            header.Append($",\"{name}\":{{\"dtype\":\"{type}\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{data.Length},{data.Length + bytes.Length}]}}");
            data.Write(bytes);
        }

        return File(header.Append('}').ToString(), data.ToArray());
    }
}
