using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport;

/// <summary>A request, a reply or an event on its way: encoded bytes, and the descriptors that go with them.</summary>
/// <remarks>
/// A sender keeps its descriptors: the transport duplicates them. A receiver owns those it gets, and disposes the message when it has
/// taken what it wants. Transports that cannot pass descriptors refuse messages that have some.
/// </remarks>
public sealed class PoolMessage : IDisposable
{
    private SafeFileHandle[] _files;

    /// <summary>Puts a message together.</summary>
    /// <param name="payload">The encoded message; must not change afterwards.</param>
    /// <param name="files">Descriptors, at most 4096, in the order in which the payload speaks of them.</param>
    public PoolMessage(ReadOnlyMemory<byte> payload, params SafeFileHandle[] files)
    {
        ArgumentNullException.ThrowIfNull(files);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(files.Length, 4096);
        Payload = payload;
        _files = files;
    }

    /// <summary>The encoded message.</summary>
    public ReadOnlyMemory<byte> Payload { get; }

    /// <summary>The descriptors that came, or go, with it; empty after <see cref="TakeFiles"/>.</summary>
    public IReadOnlyList<SafeFileHandle> Files => _files;

    /// <summary>
    /// What keeps a sender's descriptors open meanwhile. The transport disposes it once it has duplicated them, or knows that the message will
    /// not be sent. It does not travel.
    /// </summary>
    public IDisposable? Hold { get; init; }

    /// <summary>Takes the descriptors over: <see cref="Dispose"/> no longer closes them.</summary>
    public SafeFileHandle[] TakeFiles() => Interlocked.Exchange(ref _files, []);

    /// <summary>Closes the descriptors that nobody took. A receiver's duty; a sender does not call it unless it gives them up.</summary>
    public void Dispose()
    {
        foreach (var file in TakeFiles())
        {
            file.Dispose();
        }
    }
}
