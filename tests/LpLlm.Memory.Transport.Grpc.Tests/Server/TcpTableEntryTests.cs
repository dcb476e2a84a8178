using System.Net;

namespace LpLlm.Memory.Transport.Grpc.Server;

public class TcpTableEntryTests
{
    [Theory]
    [InlineData("   1: 0100007F:C3A1 0100007F:1F89 01 00000000:00000000 00:00000000 00000000  1000        0 424242 1 0000", "127.0.0.1:50081", "127.0.0.1:8073")]
    [InlineData(
        "   1: 00000000000000000000000001000000:C3A1 00000000000000000000000001000000:1F89 01 00000000:00000000 00:00000000 00000000  1000        0 424242 1",
        "[::1]:50081",
        "[::1]:8073")]
    [InlineData(
        "   1: 0000000000000000FFFF00000100007F:C3A1 0000000000000000FFFF00000100007F:1F89 01 00000000:00000000 00:00000000 00000000  1000        0 424242 1",
        "127.0.0.1:50081",
        "127.0.0.1:8073")]
    [InlineData("   1: 0100007F:C3A1 0100007F:1F89 05 00000000:00000000 00:00000000 00000000  1000        0 424242 1 0000", "127.0.0.1:50081", "127.0.0.1:8073")]
    [InlineData("   1: 0100007F:C3A1 0100007F:1F89 08 00000000:00000000 00:00000000 00000000  1000        0 424242 1 0000", "127.0.0.1:50081", "127.0.0.1:8073")]
    public void TryParse_HeldConnection_IsItsEndsUserAndInode(string line, string local, string remote)
    {
        var entry = TcpTableEntry.TryParse(line)!;

        entry.Local.Should().Be(IPEndPoint.Parse(local));
        entry.Remote.Should().Be(IPEndPoint.Parse(remote));
        entry.UserId.Should().Be(1000);
        entry.Inode.Should().Be(424242);
        LoopbackTcpPeer.Find([line], entry.Local, entry.Remote).Should().Be(entry);
        LoopbackTcpPeer.Find([line], entry.Remote, entry.Local).Should().BeNull("that is the server's own end");
    }

    [Theory]
    [InlineData("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode")]
    [InlineData("   1: 0100007F:C3A1 0100007F:1F89 06 00000000:00000000 00:00000000 00000000  1000        0 424242 1")]
    [InlineData("   1: 0100007F:C3A1 0100007F:1F89 01 00000000:00000000 00:00000000 00000000  1000        0 0 1")]
    [InlineData("   1: 0100007F:C3A1 0100007F:1F89 01 00000000:00000000 00:00000000 00000000  -1        0 5 1")]
    [InlineData("   1: 01007F:C3A1 0100007F:1F89 01 00000000:00000000 00:00000000 00000000  1        0 5 1")]
    [InlineData("")]
    public void TryParse_AnythingElse_IsNull(string line) => TcpTableEntry.TryParse(line).Should().BeNull();
}
