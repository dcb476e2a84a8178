using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport.Devices;

/// <summary>One session's handle: what two sessions have opened is two imports, so that the end of one takes nothing from the other.</summary>
internal readonly record struct DeviceImportKey(PoolSession Session, string DeviceUuid, string Handle);
