namespace LpLlm.Memory.Samples.Generate.Hosting;

/// <summary>The configuration has a wrong value, or names a kind of pool, a pool or a key that does not exist.</summary>
internal sealed class RefusedConfigurationException(string message, Exception innerException) : Exception(message, innerException);
