using LpLlm.Memory.TestKit.Replay;

namespace LpLlm.Memory.Tests.Wrappers;

public sealed class TraceReaderTests : IDisposable
{
    private const string Header = "sequence,time_ns,thread,op,lease,length_bytes,alignment_bytes\n";
    private const string Rent = Header + "1,5,1,rent,1,1000,256\n";

    private readonly TraceFile _file = new();

    public void Dispose() => _file.Dispose();

    [Theory]
    [InlineData("", 1, 1, "no trace")]
    [InlineData("a,b\n", 1, 1, "no trace")]
    [InlineData(Header + "1,5,1,rent,1,1000\n", 2, 6, "6 fields")]
    [InlineData(Header + "1,5,1,rent,1,1000,256,9\n", 2, 7, "8 fields")]
    [InlineData(Header + "x,5,1,rent,1,1000,256\n", 2, 1, "'x'")]
    [InlineData(Header + "1,-5,1,rent,1,1000,256\n", 2, 2, "'-5'")]
    [InlineData(Header + "1,5,,rent,1,1000,256\n", 2, 3, "''")]
    [InlineData(Header + "1,5,1,borrow,1,1000,256\n", 2, 4, "'borrow'")]
    [InlineData(Header + "1,5,1,rent,2,1000,256\n", 2, 5, "lease 2 follows lease 0")]
    [InlineData(Header + "1,5,1,rent,1,0,256\n", 2, 6, "'0'")]
    [InlineData(Header + "1,5,1,rent,1,99999999999999999999,256\n", 2, 6, "99999999999999999999")]
    [InlineData(Header + "1,5,1,rent,1,1000,96\n", 2, 7, "'96'")]
    [InlineData(Header + "3,5,1,rent,1,1000,256\n", 2, 1, "2 events before number 3 are missing")]
    [InlineData(Rent + "1,6,1,return,1,1000,\n", 3, 1, "number 1 follows 1")]
    [InlineData(Rent + "2,6,1,return,1,999,\n", 3, 6, "1000 B")]
    [InlineData(Rent + "2,6,1,return,2,1000,\n", 3, 5, "not rented before")]
    [InlineData(Rent + "2,6,1,return,1,1000,\n3,6,1,return,1,1000,\n", 4, 5, "returned before")]
    [InlineData(Rent + "2,6,1,end,,,\n3,6,1,return,1,1000,\n", 4, 1, "nothing may follow")]
    public void Read_BadFile_NamesLineAndColumn(string text, int line, int column, string problem)
    {
        File.WriteAllText(_file.Path, text);

        var error = _file.Invoking(f => f.Read()).Should().Throw<TraceFormatException>().Which;

        error.Line.Should().Be(line);
        error.Column.Should().Be(column);
        error.Message.Should().Contain(_file.Path).And.Contain($"line {line}, column {column}").And.Contain(problem);
    }

    [Fact]
    public void Read_TraceOfAProcessThatDied_GivesTheWholeLines()
    {
        File.WriteAllText(_file.Path, Rent + "2,6,1,rent,2,10");

        var trace = _file.Read();

        trace.IsComplete.Should().BeFalse();
        trace.Rents.Should().Be(1);
    }

    [Fact]
    public void Read_MissingFile_Throws() =>
        _file.Invoking(f => f.Read()).Should().Throw<FileNotFoundException>().Which.Message.Should().Contain(_file.Path);

    [Fact]
    public async Task Replay_SmallerPool_TellsNewFailuresFromGenuineOnes()
    {
        File.WriteAllText(
            _file.Path, Header + "1,1,1,rent,1,4096,256\n2,2,1,rent,2,4096,256\n3,3,1,fail,,8192,256\n4,4,1,return,1,4096,\n5,5,1,return,2,4096,\n6,6,1,end,,,\n");
        using var small = new FakePool(capacityBytes: 4096);
        using var large = new FakePool(capacityBytes: 1 << 20);

        var inSmall = await Task.Run(() => TraceReplayer.Run(_file.Read(), small)).DefaultTimeout();
        var inLarge = await Task.Run(() => TraceReplayer.Run(_file.Read(), large)).DefaultTimeout();

        (inSmall.Rents, inSmall.Returns, inSmall.NewFailures, inSmall.GenuineFailures, inSmall.AvoidedFailures).Should().Be((1, 1, 1, 1, 0));
        inSmall.UtilisationAtFailures.Should().Be((1.0, 1.0));
        (inLarge.Rents, inLarge.Returns, inLarge.NewFailures, inLarge.GenuineFailures, inLarge.AvoidedFailures).Should().Be((2, 2, 0, 0, 1));
        inLarge.PeakBytes.Should().Be(8192);
        small.LiveLeases.Should().Be(0);
    }

    [Fact]
    public async Task Replay_PoolThatThrows_StopsEveryThread()
    {
        File.WriteAllText(_file.Path, Header + "1,1,1,rent,1,4096,256\n2,2,2,return,1,4096,\n3,3,1,rent,2,4096,256\n4,4,2,return,2,4096,\n");
        var pool = new FakePool { Renting = _ => throw new TraceException("fake", "x", "told to fail") };

        await _file.Awaiting(f => Task.Run(() => TraceReplayer.Run(f.Read(), pool)).DefaultTimeout())
            .Should().ThrowAsync<TraceException>();
    }
}
