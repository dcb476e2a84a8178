namespace LpLlm.Memory.Cuda;

/// <summary>A stream's handle that is destroyed when its owner and all who are recording on it have left. Thread-safe.</summary>
internal sealed class StreamHandle(ICudaDriver driver, nint value)
{
    private int _users = 1;

    public nint Value => value;

    /// <summary>Keeps the stream; false when it is gone.</summary>
    public bool TryEnter()
    {
        for (var users = Volatile.Read(ref _users); users > 0; users = Volatile.Read(ref _users))
        {
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users)
            {
                return true;
            }
        }

        return false;
    }

    public void Leave()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            // The driver lets what is enqueued run to its end. If it refuses, the device has failed, which its fences tell.
            _ = driver.DestroyStream(value);
        }
    }
}
