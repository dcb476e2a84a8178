namespace LpLlm.Memory.Benchmarks.RoundTrips;

/// <summary>A client and a server in this process, and a message of 64 bytes there and back.</summary>
internal interface IRoundTrip : IAsyncDisposable
{
    string Name { get; }

    ValueTask SendAndReceiveAsync();
}
