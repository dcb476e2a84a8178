using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport;

public class FaultCodecTests
{
    private static readonly Uri Server = new("pipe:///run/pool.sock");

    [Theory]
    [InlineData(PoolFaultCode.ResourceExhausted, typeof(MemorySourceException), false)]
    [InlineData(PoolFaultCode.Unavailable, typeof(PoolServerUnavailableException), true)]
    [InlineData(PoolFaultCode.Cancelled, typeof(PoolServerUnavailableException), true)]
    [InlineData(PoolFaultCode.DeadlineExceeded, typeof(PoolServerUnavailableException), true)]
    [InlineData(PoolFaultCode.Unimplemented, typeof(PoolProtocolException), false)]
    [InlineData(PoolFaultCode.PermissionDenied, typeof(PoolRequestRejectedException), false)]
    [InlineData(PoolFaultCode.Internal, typeof(PoolRequestRejectedException), false)]
    public void EveryCode_IsOneOfTheLibrarysExceptions(PoolFaultCode code, Type expected, bool isTransient)
    {
        var exception = FaultCodec.ToException(new PoolFaultException(code, "What happened."), Server, 5);

        exception.Should().BeOfType(expected);
        exception.IsTransient.Should().Be(isTransient);
        exception.Message.Should().Contain("What happened.").And.Contain("pool.sock");
    }

    [Fact]
    public void ARefusal_KeepsLimitAndRemedy()
    {
        var fault = FaultCodec.Fault(PoolFaultCode.ResourceExhausted, "No room.", new ErrorData { LimitBytes = 7, Remedy = "Raise it." });

        var exception = FaultCodec.ToException(fault, Server, 5).Should().BeOfType<MemorySourceException>().Subject;

        exception.Should().Match<MemorySourceException>(e => e.LimitBytes == 7 && e.RequestedBytes == 5 && e.Operation == "lease from pipe:///run/pool.sock");
        exception.Message.Should().Contain("No room. Raise it.");
    }

    [Fact]
    public void DataThatCannotBeRead_CountsAsNone() =>
        FaultCodec.IsSessionUnknown(new PoolFaultException(PoolFaultCode.NotFound, "x", new byte[] { 0xFF, 0xFF, 0xFF })).Should().BeFalse();
}
