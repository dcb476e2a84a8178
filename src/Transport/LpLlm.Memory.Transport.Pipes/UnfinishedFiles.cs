namespace LpLlm.Memory.Transport.Pipes;

/// <summary>How many descriptors all clients together can make a listener hold in messages that are not whole: those of <see cref="PoolMethod.Restore"/>.</summary>
internal static class UnfinishedFiles
{
    /// <summary>
    /// A quarter of what is free, so that segments, connections and what else the process opens find theirs whatever clients do: from 32,768 on two of
    /// the longest messages there are, which is enough for any number of clients, since a message that is whole counts no longer. Never less than the kernel
    /// delivers with one byte (253), before anything can be refused: three messages of this library's client, which sends at most 64 with each.
    /// </summary>
    /// <param name="free">Descriptors that the process may still open when the listener starts.</param>
    public static int Of(int free) => Math.Clamp(free / 4, FrameHeader.FilesPerChunk, 2 * FrameHeader.MaxFiles);
}
