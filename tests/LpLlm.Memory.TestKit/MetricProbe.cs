using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace LpLlm.Memory.TestKit;

/// <summary>Listens to one pool's instruments of one meter, and keeps the last measurement of each.</summary>
public sealed class MetricProbe : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, double> _last = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();
    private readonly string _poolName;

    /// <summary>Starts to listen.</summary>
    /// <param name="meterName">The meter.</param>
    /// <param name="poolName">Measurements of other pools are ignored; tests run side by side.</param>
    public MetricProbe(string meterName, string poolName)
    {
        _poolName = poolName;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == meterName)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Keep(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Keep(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>Instruments with a measurement, and with each a unit and the value of the tag beside the pool's name: <c>name[By]{used}</c>.</summary>
    public IReadOnlyDictionary<string, double> Last => _last;

    /// <summary>Measurements that an instrument has made.</summary>
    /// <param name="instrument">As in <see cref="Last"/>.</param>
    public int CountOf(string instrument) => _counts.GetValueOrDefault(instrument);

    /// <summary>Forgets everything, and collects the observable instruments anew.</summary>
    public void Collect()
    {
        _last.Clear();
        _counts.Clear();
        _listener.RecordObservableInstruments();
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void Keep(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var mine = false;
        var rest = "";
        foreach (var tag in tags)
        {
            if (tag.Key == "lpllm.pool.name")
            {
                mine = Equals(tag.Value, _poolName);
            }
            else
            {
                rest = $"{{{tag.Value}}}";
            }
        }

        if (mine)
        {
            var key = $"{instrument.Name}[{instrument.Unit}]{rest}";
            _last[key] = value;
            _counts.AddOrUpdate(key, 1, (_, count) => count + 1);
        }
    }
}
