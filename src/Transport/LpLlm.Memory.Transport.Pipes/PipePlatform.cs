using LpLlm.Memory.Transport.Pipes.Unix;
using LpLlm.Memory.Transport.Pipes.Windows;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>What an operating system has for pipes: how they are named, made and found.</summary>
internal abstract class PipePlatform
{
    /// <summary>The one of the system that this runs on.</summary>
    /// <param name="limits">Of the transport.</param>
    /// <param name="time">For retries.</param>
    public static PipePlatform Create(PoolTransportLimits limits, TimeProvider time) =>
        OperatingSystem.IsWindows() ? new NamedPipes(time) : new UnixPipes(limits, time);

    /// <summary>The system's name of an end point.</summary>
    /// <exception cref="ArgumentException">It has none.</exception>
    /// <exception cref="PlatformNotSupportedException">The system has no such pipes.</exception>
    public abstract string FindName(Uri endPoint);

    /// <summary>Connects to who listens there.</summary>
    /// <exception cref="PoolServerUnavailableException">Nobody does.</exception>
    /// <exception cref="PoolProtocolException">Somebody does who may be an impostor.</exception>
    /// <exception cref="PoolFaultException">This user may not.</exception>
    public abstract ValueTask<PipeLink> ConnectAsync(Uri endPoint, string name, CancellationToken cancellationToken);

    /// <summary>Listens there.</summary>
    /// <exception cref="InvalidOperationException">Another server does, or the name is not safe.</exception>
    public abstract PipeDoor Bind(string name, bool isForOtherUsers);
}
