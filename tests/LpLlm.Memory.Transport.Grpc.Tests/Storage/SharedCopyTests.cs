using LpLlm.Memory.Transport.Client;
using LpLlm.Memory.Transport.Grpc.Storage;

namespace LpLlm.Memory.Transport.Grpc;

public class SharedCopyTests
{
    private const int PageBytes = 4096;

    [Fact]
    public void ReadAndWrite_MemoryThatIsThere_CopyEveryByte()
    {
        var address = Map(MemoryCalls.ProtReadWrite);
        var data = Enumerable.Range(0, PageBytes).Select(i => (byte)(i * 7)).ToArray();

        SharedCopy.Write(address, data);
        var read = new byte[PageBytes];
        SharedCopy.Read(address, read);

        read.Should().Equal(data);
        _ = MemoryCalls.Unmap(address, PageBytes);
    }

    [Fact]
    public void Row20_ReadOrWrite_WherePagesCannotBeHad_FailsAndTheProcessLives()
    {
        var address = Map(MemoryCalls.ProtNone);

        FluentActions.Invoking(() => SharedCopy.Write(address, new byte[8])).Should().Throw<PoolFaultException>();
        FluentActions.Invoking(() => SharedCopy.Read(address, new byte[8])).Should().Throw<PoolFaultException>()
            .Which.Code.Should().Be(PoolFaultCode.FailedPrecondition);
        _ = MemoryCalls.Unmap(address, PageBytes);
    }

    private static nint Map(int protection) =>
        MemoryCalls.Map(0, PageBytes, protection, MemoryCalls.MapPrivate | MemoryCalls.MapAnonymous, -1, 0);
}
