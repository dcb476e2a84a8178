using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Windows;

/// <summary>How handles get into another process: as numbers in the bytes, which mean something in one of both processes only.</summary>
internal abstract class HandlePassing
{
    /// <summary>Makes a handle ready to leave.</summary>
    /// <returns>The number that travels.</returns>
    /// <exception cref="IOException">It cannot be passed.</exception>
    public abstract long Give(SafeFileHandle file);

    /// <summary>Undoes <see cref="Give"/>: the number did not leave.</summary>
    public abstract void TakeBack(long number);

    /// <summary>The handle of a number that came.</summary>
    /// <exception cref="FrameException">It is none.</exception>
    public abstract SafeFileHandle Take(long number);
}
