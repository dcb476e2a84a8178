using Google.Protobuf;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Messages;
using LpLlm.Memory.Transport.Models;
using static LpLlm.Memory.Transport.Server.ServiceHarness;

namespace LpLlm.Memory.Transport.Server;

public class PoolServiceModelTests
{
    private readonly ServiceHarness _sut = new(withModels: true);

    [Fact]
    public async Task OpenModel_GivesItsMemoryToReadAndItsIndex()
    {
        var (connection, session) = _sut.Open();

        var reply = await OpenAsync(connection, session, "m1");

        reply.LengthBytes.Should().Be(3_000_000);
        reply.Segments.Should().ContainSingle().Which.LengthBytes.Should().Be(2 * Unit);
        reply.Tensors.Select(tensor => tensor.Name).Should().Equal("t0", "t1", "t2");
        reply.TensorCount.Should().Be(3);
        EngineHarness.Piece(_sut.Models.Lease("m1")).IsReadOnly.Should().BeTrue();
        _sut.Models.UsesOf("m1").Should().Be(1);
        _sut.Host.Statistics.ModelBytes.Should().Be(2 * Unit);
    }

    [Fact]
    public async Task OpenModel_SameIdAgain_IsOneUse_AndOneCloseEndsIt()
    {
        var (connection, session) = _sut.Open();
        var id = Token.Create();
        var first = await OpenAsync(connection, session, "m1", id);
        var again = await OpenAsync(connection, session, "m1", id);
        var other = await OpenAsync(connection, session, "m1");

        again.LeaseId.Should().Be(first.LeaseId).And.Be(other.LeaseId);
        _sut.Models.UsesOf("m1").Should().Be(2);
        Close(connection, session, id);
        Close(connection, session, id);
        _sut.Models.UsesOf("m1").Should().Be(1);
        _sut.Host.Engine.List().Should().ContainSingle().Which.HolderCount.Should().Be(2, "the other use holds it, and the store does");
    }

    /// <summary>Else the session would hold the second model without a use of it, which the store then evicts and loads anew, again and again.</summary>
    [Fact]
    public async Task OpenModel_IdOfAnotherModel_IsRefusedAndHoldsNothing()
    {
        var (connection, session) = _sut.Open();
        var id = Token.Create();
        await OpenAsync(connection, session, "m1", id);

        Fault(connection, PoolMethod.OpenModel, OpenRequest(session, "m2", id)).Code.Should().Be(PoolFaultCode.AlreadyExists);

        _sut.Models.UsesOf("m2").Should().Be(0);
        await _sut.Models.UnloadAsync("m2", CancellationToken.None);
        _sut.Host.Statistics.ModelBytes.Should().Be(2 * Unit, "m1 is left");
    }

    [Fact]
    public async Task CloseModel_BeforeItIsOpen_LeavesNothingOpen()
    {
        var (connection, session) = _sut.Open();
        var gate = new TaskCompletionSource();
        _sut.Models.Gate = gate.Task;
        var id = Token.Create();
        var opening = SendAsync(connection, PoolMethod.OpenModel, OpenRequest(session, "m1", id).ToByteArray());

        Close(connection, session, id);
        gate.SetResult();

        (await FluentActions.Awaiting(() => opening.DefaultTimeout()).Should().ThrowAsync<PoolFaultException>()).Which.Code.Should().Be(PoolFaultCode.Cancelled);
        _sut.Models.UsesOf("m1").Should().Be(0);
        _sut.Host.Engine.List().Should().ContainSingle().Which.HolderCount.Should().Be(1);
    }

    [Fact]
    public async Task U4_OpenModel_WhileItLoads_WaitsForTheData_AndGivesUpInTime()
    {
        var (connection, session) = _sut.Open();
        var gate = new TaskCompletionSource();
        _sut.Models.Gate = gate.Task;
        var id = Token.Create();
        var late = SendAsync(connection, PoolMethod.OpenModel, OpenRequest(session, "m1", id).ToByteArray());
        late.IsCompleted.Should().BeFalse();

        _sut.Host.Advance(5_000);

        (await FluentActions.Awaiting(() => late.DefaultTimeout()).Should().ThrowAsync<PoolFaultException>()).Which.Code.Should().Be(PoolFaultCode.DeadlineExceeded);
        gate.SetResult();
        (await OpenAsync(connection, session, "m1", id)).LeaseId.Should().NotBe(0, "the same id may ask again");
    }

    [Theory]
    [InlineData(ModelStoreFault.NotFound, PoolFaultCode.NotFound)]
    [InlineData(ModelStoreFault.Damaged, PoolFaultCode.FailedPrecondition)]
    [InlineData(ModelStoreFault.Unreadable, PoolFaultCode.FailedPrecondition)]
    [InlineData(ModelStoreFault.NoRoom, PoolFaultCode.ResourceExhausted)]
    [InlineData(ModelStoreFault.InUse, PoolFaultCode.FailedPrecondition)]
    public void U9_OpenModel_Fails_TheClientCanRebuildTheException(ModelStoreFault kind, PoolFaultCode code)
    {
        var (connection, session) = _sut.Open();
        var failure = new ModelStoreException(kind, "m1", "something is wrong.");
        _sut.Models.Failure = failure;

        var fault = Fault(connection, PoolMethod.OpenModel, OpenRequest(session, "m1"));

        fault.Code.Should().Be(code);
        FaultCodec.IsSessionUnknown(fault).Should().BeFalse();
        var rebuilt = ModelFaults.ToException(fault, "m1")!;
        (rebuilt.Fault, rebuilt.Message).Should().Be((kind, failure.Message));
    }

    [Fact]
    public async Task Sessions_AreStrangersToEachOthersModels()
    {
        var (owner, session) = _sut.Open(process: 1);
        var (stranger, other) = _sut.Open(process: 2);
        var id = Token.Create();
        var lease = (await OpenAsync(owner, session, "m1", id)).LeaseId;
        var token = _sut.Models.Lease("m1").Token;

        Fault(stranger, PoolMethod.GetModelIndex, new GetModelIndexRequest { Session = other, OpenId = Bytes(id) }).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(stranger, PoolMethod.Release, new ReleaseRequest { Session = other, LeaseId = lease }).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(stranger, PoolMethod.Attach, new AttachRequest { Session = other, LeaseToken = Bytes(token) }).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(owner, PoolMethod.Grow, new GrowRequest { Session = session, LeaseId = lease, RequestId = Bytes(Token.Create()), LengthBytes = Unit })
            .Code.Should().Be(PoolFaultCode.InvalidArgument);
        Close(stranger, other, id);
        _sut.Models.UsesOf("m1").Should().Be(1, "a close of another session closes nothing");
        Fault(stranger, PoolMethod.OpenModel, OpenRequest(session, "m1")).Code.Should().Be(PoolFaultCode.NotFound, "the session is not this connection's");
    }

    [Fact]
    public async Task Process_IsGone_ItsUseEndsAndTheOthersStays()
    {
        var exited = new TaskCompletionSource();
        var victim = _sut.Service.Accept(Peer(process: 1, exited: exited.Task));
        var session = Hello(victim).Session;
        await OpenAsync(victim, session, "m1");
        var (survivor, other) = _sut.Open(process: 2);
        await OpenAsync(survivor, other, "m1");

        victim.Closed();
        _sut.Models.UsesOf("m1").Should().Be(2, "a lost connection is no proof");
        exited.SetResult();

        await UntilUsesAsync("m1", 1);
        Fault(Administrator(out var admin), PoolMethod.UnloadModel, new UnloadModelRequest { Session = admin, Model = "m1" })
            .Code.Should().Be(PoolFaultCode.FailedPrecondition);
        EngineHarness.Piece(_sut.Models.Lease("m1")).FreedPages.Should().BeNull();
    }

    [Fact]
    public async Task OpenedModel_WhenItGoes_IsNeverUsedAgain_AnUnopenedOneIs()
    {
        var (connection, session) = _sut.Open();
        var id = Token.Create();
        await OpenAsync(connection, session, "m1", id);
        var opened = EngineHarness.Piece(_sut.Models.Lease("m1"));
        await _sut.Models.LoadAsync("m2", default);
        var unopened = EngineHarness.Piece(_sut.Models.Lease("m2"));
        Close(connection, session, id);

        await _sut.Models.ClearAsync(default);

        opened.FreedPages.Should().BeFalse("who still maps it keeps its bytes");
        unopened.FreedPages.Should().BeNull();
        unopened.ClearCount.Should().Be(1);
        _sut.Host.Source.Violations.Should().BeEmpty();
    }

    [Fact]
    public async Task Index_LongerThanAMessage_ComesInParts()
    {
        _sut.Models.TensorCount = 200_000;
        var (connection, session) = _sut.Open();
        var id = Token.Create();
        var reply = await OpenAsync(connection, session, "m1", id);
        var names = reply.Tensors.Select(tensor => tensor.Name).ToList();
        reply.CalculateSize().Should().BeLessThan(4 << 20);

        while (names.Count < reply.TensorCount)
        {
            var page = Send(
                connection, PoolMethod.GetModelIndex, new GetModelIndexRequest { Session = session, OpenId = Bytes(id), First = names.Count }, GetModelIndexReply.Parser);
            page.Tensors.Should().NotBeEmpty();
            names.AddRange(page.Tensors.Select(tensor => tensor.Name));
        }

        names.Should().Equal(Enumerable.Range(0, 200_000).Select(i => $"t{i}"));
    }

    [Fact]
    public async Task ListLoadAndUnload_TellAndDo()
    {
        var administrator = Administrator(out var session);
        Send(administrator, PoolMethod.LoadModel, new LoadModelRequest { Session = session, Model = "m1" }, LoadModelReply.Parser)
            .Should().Match<LoadModelReply>(reply => !reply.WasLoaded && reply.Model.State == "loaded");
        Send(administrator, PoolMethod.LoadModel, new LoadModelRequest { Session = session, Model = "m1" }, LoadModelReply.Parser).WasLoaded.Should().BeTrue();
        var (user, other) = _sut.Open();
        var id = Token.Create();
        await OpenAsync(user, other, "m1", id);

        Send(user, PoolMethod.ListModels, new ListModelsRequest { Session = other }, ListModelsReply.Parser).Models
            .Should().ContainSingle().Which.UseCount.Should().Be(1);
        Fault(user, PoolMethod.UnloadModel, new UnloadModelRequest { Session = other, Model = "m1" }).Code.Should().Be(PoolFaultCode.PermissionDenied);
        Fault(administrator, PoolMethod.Revoke, new RevokeRequest { Session = session, LeaseId = _sut.Models.Lease("m1").LeaseId })
            .Message.Should().Contain("unload");
        Close(user, other, id);
        Send(administrator, PoolMethod.UnloadModel, new UnloadModelRequest { Session = session, Model = "m1" }, UnloadModelReply.Parser);

        _sut.Models.List().Should().BeEmpty();
        _sut.Host.Statistics.ModelBytes.Should().Be(0);
    }

    [Theory]
    [InlineData("")]
    [InlineData("../m1")]
    [InlineData("m9")]
    public void U9_OpenModel_PathThatIsNone_IsAnInvalidArgument(string path)
    {
        var (connection, session) = _sut.Open();

        Fault(connection, PoolMethod.OpenModel, OpenRequest(session, path)).Code.Should().Be(PoolFaultCode.InvalidArgument);
        Fault(connection, PoolMethod.OpenModel, OpenRequest(session, new string('x', 1025))).Code.Should().Be(PoolFaultCode.InvalidArgument);
    }

    [Fact]
    public void WithoutAModelStore_TheCallsAreUnimplemented()
    {
        var sut = new ServiceHarness();
        var (connection, session) = sut.Open();

        Fault(connection, PoolMethod.OpenModel, OpenRequest(session, "m1")).Code.Should().Be(PoolFaultCode.Unimplemented);
        Fault(connection, PoolMethod.ListModels, new ListModelsRequest { Session = session }).Code.Should().Be(PoolFaultCode.Unimplemented);
    }

    private static OpenModelRequest OpenRequest(ByteString session, string model, Token? id = null) =>
        new() { Session = session, OpenId = Bytes(id ?? Token.Create()), Model = model, TimeoutMs = 5_000 };

    private static async Task<OpenModelReply> OpenAsync(IPoolConnection connection, ByteString session, string model, Token? id = null)
    {
        var message = await SendAsync(connection, PoolMethod.OpenModel, OpenRequest(session, model, id).ToByteArray()).DefaultTimeout();
        message.Hold?.Dispose();
        return OpenModelReply.Parser.ParseFrom(message.Payload.Span);
    }

    private static void Close(IPoolConnection connection, ByteString session, Token id) =>
        Send(connection, PoolMethod.CloseModel, new CloseModelRequest { Session = session, OpenId = Bytes(id) }, CloseModelReply.Parser);

    private IPoolConnection Administrator(out ByteString session)
    {
        var (connection, opened) = _sut.Open(OwnUser, process: 99);
        session = opened;
        return connection;
    }

    private Task UntilUsesAsync(string model, int count) => TestTimeouts.UntilAsync(() => _sut.Models.UsesOf(model) == count);
}
