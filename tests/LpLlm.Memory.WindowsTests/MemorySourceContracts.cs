using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Windows;

public sealed class PrivateMemorySourceContract : PinnedMemorySourceContract
{
    protected override IMemorySource Create(IHostPinner pinner) =>
        new HostMemorySource(new HostMemorySettings { PieceBytes = 2 << 20 }, pinner, NullLogger.Instance);
}

public sealed class SectionMemorySourceContract : PinnedMemorySourceContract
{
    protected override IMemorySource Create(IHostPinner pinner) =>
        new HostMemorySource(new HostMemorySettings { PieceBytes = 2 << 20, Shared = true }, pinner, NullLogger.Instance);
}
