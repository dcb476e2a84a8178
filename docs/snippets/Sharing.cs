namespace LpLlm.Memory.Docs;

/// <summary>Two processes that have one lease: see docs/architecture.md.</summary>
public static class Sharing
{
    public static async Task PrefillAsync(IServerPool pool, TextReader fromDecoder, TextWriter toDecoder)
    {
        using var cache = await pool.RentSharedAsync(512 << 20); // zeroed, a lease of the server's by itself
        cache.Lease.AsSpan<BFloat16>().Fill((BFloat16)1f);
        await toDecoder.WriteLineAsync(cache.Token); // after the writes: the message orders them
        await fromDecoder.ReadLineAsync(); // somebody must hold it until the other has opened it
    }

    public static async Task DecodeAsync(IServerPool pool, TextReader fromPrefill, TextWriter toPrefill)
    {
        using var cache = await pool.OpenSharedAsync((await fromPrefill.ReadLineAsync())!); // the same pages: nothing is copied
        await toPrefill.WriteLineAsync("opened");
        Console.WriteLine(cache.Lease.AsSpan<BFloat16>()[0]);
    }
}
