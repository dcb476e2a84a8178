namespace LpLlm.Memory.Transport.Client;

/// <summary>A model's memory as this process has mapped it. Disposing unmaps it, once, and tells the server.</summary>
internal sealed class OpenModel(AddressRange range, nint address, long mappedBytes, Action closed) : IDisposable
{
    private int _disposed;

    public nint Address => address;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        // First: memory that others may get next must not be reachable from here any more.
        range.Return(address, mappedBytes);
        range.Dispose();
        closed();
    }
}
