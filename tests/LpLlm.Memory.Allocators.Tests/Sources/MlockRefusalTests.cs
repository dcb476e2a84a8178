using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Tests.Sources;

/// <summary>ENOMEM of mlock means the limit, or memory, or a hole: the wording must tell them apart.</summary>
public class MlockRefusalTests
{
    private const long Limit = 8 << 20;

    [Fact]
    public void OverTheLimit_NamesLimitSizeErrnoAndRemedy()
    {
        var error = MlockHostPinner.Refusal(12, 64 << 20, Limit, lockedBytes: 1 << 20);

        error.Operation.Should().Be("mlock");
        error.NativeErrorCode.Should().Be(12);
        error.LimitBytes.Should().Be(Limit);
        error.Message.Should().Contain("mlock of 67108864 B failed with ENOMEM (12); the limit is 8388608 B")
            .And.Contain("RLIMIT_MEMLOCK").And.Contain("1048576 B are locked already")
            .And.Contain("LimitMEMLOCK").And.Contain("--ulimit memlock=-1").And.Contain("AllowPageable");
    }

    [Fact]
    public void WithinTheLimit_BlamesMemory() =>
        MlockHostPinner.Refusal(12, 1 << 20, limitBytes: null, lockedBytes: 0).Message
            .Should().Contain("no memory left").And.NotContain("RLIMIT_MEMLOCK");

    [Fact]
    public void NoPermission_SaysSo() =>
        MlockHostPinner.Refusal(1, 1 << 20, limitBytes: 0, lockedBytes: 0).Message
            .Should().Contain("EPERM (1)").And.Contain("may not lock memory at all").And.Contain("CAP_IPC_LOCK");

    [Fact]
    public void AnotherError_IsNamed() =>
        MlockHostPinner.Refusal(22, 1, Limit, 0).Message.Should().Contain("EINVAL (22)");

    [Fact]
    public void Unpin_OfUnmappedMemory_Throws()
    {
        var act = () => new MlockHostPinner().Unpin(4096, 4096);

        act.Should().Throw<MemorySourceException>().Which.Operation.Should().Be("munlock");
    }
}
