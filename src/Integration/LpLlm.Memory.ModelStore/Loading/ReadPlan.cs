namespace LpLlm.Memory.Models;

/// <summary>Divides a model's files among reads.</summary>
internal static class ReadPlan
{
    /// <summary>All parts, in the order of the files: disks like it, and a consumer finds the first layers first.</summary>
    /// <param name="partitions">The files.</param>
    /// <param name="readBytes">Most bytes of a part, a multiple of <see cref="DirectFile.BlockBytes"/>.</param>
    public static IReadOnlyList<ReadPart> Of(IReadOnlyList<Partition> partitions, int readBytes)
    {
        var parts = new List<ReadPart>();
        for (var file = 0; file < partitions.Count; file++)
        {
            var (_, start, length) = partitions[file];
            for (long offset = 0; offset < length; offset += readBytes)
            {
                parts.Add(new ReadPart(file, offset, start + offset, (int)Math.Min(readBytes, length - offset)));
            }
        }

        return parts;
    }
}
