using System.Buffers;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>
/// One end of a connection that carries bytes, and descriptors that ride on them: a descriptor arrives no later than its byte, and in order. For one
/// sender and one receiver at a time; disposal ends both.
/// </summary>
internal abstract class PipeLink : IDisposable
{
    /// <summary>Waits for bytes, and takes what there is of them.</summary>
    /// <param name="writer">Gets the bytes.</param>
    /// <param name="receive">Gets the descriptors that came with them, and owns them.</param>
    /// <returns>How many bytes; 0 at the connection's end.</returns>
    /// <exception cref="System.Net.Sockets.SocketException">A Unix socket's connection is broken.</exception>
    /// <exception cref="IOException">A named pipe's connection is broken.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    /// <exception cref="FrameException">The other end broke the protocol, or descriptors were lost.</exception>
    public abstract ValueTask<int> ReceiveAsync(IBufferWriter<byte> writer, Action<SafeFileHandle> receive);

    /// <summary>Sends bytes, as soon as the other end has room for some.</summary>
    /// <param name="bytes">At least one.</param>
    /// <param name="files">They ride on the first byte; null for none. The caller releases them afterwards.</param>
    /// <returns>How many bytes were sent, at least one: then the descriptors were, too.</returns>
    /// <inheritdoc cref="ReceiveAsync"/>
    public abstract ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes, FileChunk? files);

    /// <summary>Tells the other end that nothing more comes, where the system can say so; it can still send.</summary>
    public abstract void EndSending();

    /// <summary>Asks the system, at the server's end, who is at the other.</summary>
    /// <exception cref="PoolFaultException">A client that this server cannot serve; it is to be told so.</exception>
    /// <inheritdoc cref="ReceiveAsync"/>
    public abstract PoolPeer Identify();

    public abstract void Dispose();
}
