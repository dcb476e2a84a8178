using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Sources;

public sealed class AnonymousMemorySourceContract : PinnedMemorySourceContract
{
    protected override IMemorySource Create(IHostPinner pinner) => TestSource.Create(new HostMemorySettings(), pinner);
}

public sealed class AnonymousMemorySourceWithSmallPagesContract : PinnedMemorySourceContract
{
    protected override IMemorySource Create(IHostPinner pinner) =>
        TestSource.Create(new HostMemorySettings { HugePages = HugePageMode.Never, TouchPages = true }, pinner);
}

public sealed class SharedMemorySourceContract : PinnedMemorySourceContract
{
    protected override IMemorySource Create(IHostPinner pinner) => TestSource.Create(new HostMemorySettings { Shared = true }, pinner);
}

[Collection(WholeProcess.Name)]
public sealed class HugePageMemorySourceContract : PinnedMemorySourceContract, IClassFixture<ReservedHugePages>
{
    public HugePageMemorySourceContract(ReservedHugePages pages) => pages.SkipIfMissing();

    protected override IMemorySource Create(IHostPinner pinner) =>
        TestSource.Create(new HostMemorySettings { HugePages = HugePageMode.Require }, pinner);
}

[Collection(WholeProcess.Name)]
public sealed class SharedHugePageMemorySourceContract : PinnedMemorySourceContract, IClassFixture<ReservedHugePages>
{
    public SharedHugePageMemorySourceContract(ReservedHugePages pages) => pages.SkipIfMissing();

    protected override IMemorySource Create(IHostPinner pinner) =>
        TestSource.Create(new HostMemorySettings { HugePages = HugePageMode.Require, Shared = true }, pinner);
}

public sealed class SimulatedMemorySourceContract : MemorySourceContract
{
    protected override IMemorySource Create() => new SimulatedMemorySource();
}

internal static class TestSource
{
    public static HostMemorySource Create(HostMemorySettings settings, IHostPinner pinner) =>
        new(settings with { PieceBytes = 2 << 20 }, pinner, NullLogger.Instance);
}
