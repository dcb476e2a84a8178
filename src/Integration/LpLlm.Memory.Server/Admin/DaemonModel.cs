using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Daemon.Admin;

/// <summary>A model, as <c>list --json</c> and <c>load --json</c> write it. The load time is null unless it is loaded, the failure unless its last load failed.</summary>
internal sealed record DaemonModel(
    string Model,
    string State,
    long LengthBytes,
    long LoadedBytes,
    int Users,
    double? LoadSeconds,
    string? Failure)
{
    /// <summary>Of its load; null where that is not known.</summary>
    public double? GigabytesPerSecond => LoadSeconds > 0 ? LengthBytes / LoadSeconds / 1e9 : null;

    public static DaemonModel Of(ModelSummary model) => new(
        model.Model,
        model.State,
        model.LengthBytes,
        model.LoadedBytes,
        model.UseCount,
        model.LoadMs > 0 ? model.LoadMs / 1000 : null,
        model.Failure.Length > 0 ? model.Failure : null);
}
