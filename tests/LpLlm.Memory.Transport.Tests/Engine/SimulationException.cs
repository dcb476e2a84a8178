namespace LpLlm.Memory.Transport;

/// <summary>An invariant is broken; the message has the steps that led there.</summary>
internal sealed class SimulationException(string message) : Exception(message);
