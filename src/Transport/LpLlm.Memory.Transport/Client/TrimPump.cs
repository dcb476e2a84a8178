using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Calls the handler of trim requests: off all locks, one call at a time, requests that come meanwhile taken together.</summary>
internal sealed class TrimPump(ILogger logger)
{
    private long _wanted;
    private int _running;

    public Action<long>? Handler { get; set; }

    /// <param name="lengthBytes">At least 1.</param>
    public void Request(long lengthBytes)
    {
        long wanted;
        do
        {
            wanted = Interlocked.Read(ref _wanted);
        }
        while (wanted < lengthBytes && Interlocked.CompareExchange(ref _wanted, lengthBytes, wanted) != wanted);
        if (Interlocked.Exchange(ref _running, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static pump => pump.Run(), this, preferLocal: false);
        }
    }

    private void Run()
    {
        do
        {
            while (Interlocked.Exchange(ref _wanted, 0) is > 0 and var wanted)
            {
                try
                {
                    Handler?.Invoke(wanted);
                }
                catch (Exception failure) // the host's code: it must not end the listening
                {
                    TransportLog.TrimFailed(logger, failure);
                }
            }

            Interlocked.Exchange(ref _running, 0); // a full fence: a request that saw 1 is seen below
        }
        while (Interlocked.Read(ref _wanted) > 0 && Interlocked.Exchange(ref _running, 1) == 0);
    }
}
