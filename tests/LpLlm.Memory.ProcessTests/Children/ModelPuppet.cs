using System.Globalization;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests.Children;

/// <summary>A client of the daemon's model store, as an application has it.</summary>
internal sealed class ModelPuppet : IDisposable
{
    private readonly ServiceProvider _services;
    private readonly List<ModelHandle> _models = [];

    public ModelPuppet(string endPoint)
    {
        var services = new ServiceCollection();
        services.AddServerModelStore(store => (store.EndPoint, store.ReconnectInterval) = (endPoint, TimeSpan.FromMilliseconds(20)));
        _services = services.BuildServiceProvider();
    }

    public async Task<string> DoAsync(string[] command)
    {
        switch (command)
        {
            case ["open", var model]:
                _models.Add(await _services.GetRequiredService<IModelStore>().OpenAsync(model));
                return Text(_models[^1].LengthBytes);
            case ["sum"]:
                return Sum(_models[^1]);
            case ["resident"]:
                return string.Join(' ', Resident(_models[^1].Address));
            case ["close"]:
                _models[^1].Dispose();
                return "";
            default:
                throw new ArgumentException($"No command '{string.Join(' ', command)}'.");
        }
    }

    public void Dispose() => _services.Dispose();

    private static unsafe string Sum(ModelHandle model)
    {
        var hash = 14695981039346656037UL;
        foreach (var value in new ReadOnlySpan<byte>((byte*)model.Address, checked((int)model.LengthBytes)))
        {
            hash = (hash ^ value) * 1099511628211UL;
        }

        return hash.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>What the kernel says of the mapping: inode, bytes of it that are here, and their part by the number of processes that share them.</summary>
    private static IEnumerable<string> Resident(nint address)
    {
        var lines = File.ReadLines("/proc/self/smaps").SkipWhile(line => !line.StartsWith($"{address:x}-", StringComparison.Ordinal)).ToList();
        yield return lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries)[4];
        foreach (var field in new[] { "Rss:", "Pss:" })
        {
            var kilobytes = lines.First(line => line.StartsWith(field, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
            yield return Text(long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024);
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
