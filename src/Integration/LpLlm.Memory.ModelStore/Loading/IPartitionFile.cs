namespace LpLlm.Memory.Models;

/// <summary>One open data file. Thread-safe but for disposal.</summary>
internal interface IPartitionFile : IDisposable
{
    /// <summary>Whether reads pass by the page cache: address, offset and length of each must then be multiples of <see cref="DirectFile.BlockBytes"/>.</summary>
    bool IsDirect { get; }

    /// <summary>The file's length now, for messages.</summary>
    long LengthBytes { get; }

    /// <summary>Reads a range that is in the page cache as a whole, to any address. For files that are read directly.</summary>
    /// <returns>False if it is not there, so that the disk must be asked; what was written is then undefined.</returns>
    bool TryReadCached(nint address, long lengthBytes, long offsetBytes);

    /// <summary>Reads once.</summary>
    /// <returns>Bytes read: fewer than wanted at the end of the file, where they may be any number, and 0 behind it.</returns>
    /// <exception cref="IOException">The disk failed.</exception>
    long Read(nint address, long lengthBytes, long offsetBytes);
}
