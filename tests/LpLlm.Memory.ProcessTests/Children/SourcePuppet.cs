using System.Globalization;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Client;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Children;

/// <summary>The library's client without a pool on top: regions by number.</summary>
internal sealed class SourcePuppet : IAsyncDisposable
{
    private readonly LossyTransport? _lossy;
    private readonly ServerMemorySource _source;
    private readonly List<MemoryRegion> _regions = [];

    /// <param name="arguments">End point, capacity in bytes, and calls of which the first reply is lost.</param>
    public SourcePuppet(string[] arguments)
        : this(arguments[0], arguments[1], new LossyTransport([.. arguments[2..].Select(Enum.Parse<PoolMethod>)]))
    {
    }

    public SourcePuppet(string endPoint, string capacityBytes, PoolTransport transport)
    {
        _lossy = transport as LossyTransport;
        _source = new ServerMemorySource(
            new PoolClientOptions
            {
                EndPoint = new Uri(endPoint),
                CapacityBytes = Number(capacityBytes),
                ReconnectInterval = TimeSpan.FromMilliseconds(20),
            },
            transport,
            pinner: null,
            TimeProvider.System,
            NullLogger.Instance);
    }

    public async Task<string> DoAsync(string[] command)
    {
        switch (command)
        {
            case ["reserve", var length]:
                return Add(await _source.ReserveAsync(Number(length)));
            case ["fill", var region, var seed]:
                Pattern.Fill(Region(region).Address, Region(region).LengthBytes, Number(seed));
                return "";
            case ["write", var region, var seed]:
                WriteForever(Region(region), Number(seed));
                return "writing";
            case ["check", var region, var seed]:
                return Text(Pattern.CountWrong(Region(region).Address, Region(region).LengthBytes, Number(seed)));
            case ["nonzero", var region]:
                return Text(Pattern.CountNonZero(Region(region).Address, Region(region).LengthBytes));
            case ["give", var region]:
                Region(region).Dispose();
                return "";
            case ["lost"]:
                return Text(_lossy!.Lost);
            case ["close"]:
                await DisposeAsync();
                return "";
            default:
                throw new ArgumentException($"No command '{string.Join(' ', command)}'.");
        }
    }

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Until the process is killed.</summary>
    private static void WriteForever(MemoryRegion region, long seed) => new Thread(() =>
    {
        while (true)
        {
            Pattern.Fill(region.Address, region.LengthBytes, seed);
        }
    })
    { IsBackground = true }.Start();

    private MemoryRegion Region(string number) => _regions[(int)Number(number)];

    private string Add(MemoryRegion region)
    {
        _regions.Add(region);
        return $"{_regions.Count - 1} {region.Address}";
    }
}
