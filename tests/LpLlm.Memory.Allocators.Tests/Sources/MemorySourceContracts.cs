using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Sources;

public sealed class AnonymousMemorySourceContract : BackedMemorySourceContract
{
    protected override IMemorySource Create() =>
        new AnonymousMemorySource(new FakePinner(), transparentHugePages: true, allowPageable: false, NullLogger.Instance);
}

public sealed class AnonymousMemorySourceWithSmallPagesContract : BackedMemorySourceContract
{
    protected override IMemorySource Create() => new AnonymousMemorySource(
        new FakePinner(), transparentHugePages: false, allowPageable: false, NullLogger.Instance, touchPages: true);
}

public sealed class SimulatedMemorySourceContract : MemorySourceContract
{
    protected override IMemorySource Create() => new SimulatedMemorySource();
}
