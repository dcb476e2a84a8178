using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Models;

internal static class Catalogs
{
    public static ModelCatalog Over(
        ModelFiles files, IModelMemory memory, int readBytes = 64 << 10, int threadCount = 4, bool registrationRequired = false, long floorBytes = 0, ILogger? logger = null) =>
        new(Settings(files.StoragePath, readBytes, threadCount, registrationRequired, floorBytes), memory, TimeProvider.System, logger ?? NullLogger.Instance);

    public static ModelCatalogSettings Settings(
        string storagePath, int readBytes = 64 << 10, int threadCount = 4, bool registrationRequired = false, long floorBytes = 0) => new()
        {
            StoragePath = storagePath,
            ReadBytes = readBytes,
            ThreadCount = threadCount,
            RegistrationRequired = registrationRequired,
            FloorBytes = floorBytes,
        };
}
