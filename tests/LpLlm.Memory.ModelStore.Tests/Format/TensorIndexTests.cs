using System.Text;

namespace LpLlm.Memory.Models;

public class TensorIndexTests
{
    private static readonly ModelFolder Folder = new("m", "/models/m");

    [Fact]
    public void Parse_Entries_KeepTheirOrderAndValues()
    {
        var tensors = Parse("""{"b": [0, 12, [2, 3], [3, 1], "torch.float16"], "a": [16, 4, [], [], "torch.float32"], "c": [20, 0, [0], [1], "torch.int64"]}""");

        tensors.Select(tensor => tensor.Name).Should().Equal("b", "a", "c");
        tensors[0].Should().BeEquivalentTo(new TensorInfo("b", 0, 12, [2, 3], [3, 1], "torch.float16"));
        tensors[1].Should().BeEquivalentTo(new TensorInfo("a", 16, 4, [], [], "torch.float32"));
    }

    [Theory]
    [InlineData("""[]""", "Array")]
    [InlineData("""{"w": [0, 8, [2], [1], "torch.float32"]""", "not the JSON")]
    [InlineData("""{"w": [0, 8, [2], [1], "torch.float32"], }""", "not the JSON")]
    [InlineData("""{"w": [0, 8, [2], [1], "torch.float32"]} x""", "not the JSON")]
    [InlineData("""{"\ud800": [0, 8, [2], [1], "torch.float32"]}""", "not the JSON")]
    [InlineData("""{"w": {}}""", "'w' is {}")]
    [InlineData("""{"w": [0, 8, [2], [1]]}""", "'w' is [0, 8, [2], [1]]")]
    [InlineData("""{"w": [0, 8, [2], [1], "torch.float32", 0]}""", "'w' is [0, 8")]
    [InlineData("""{"w": [-1, 8, [2], [1], "torch.float32"]}""", "'w' is [-1")]
    [InlineData("""{"w": [0.5, 8, [2], [1], "torch.float32"]}""", "'w' is [0.5")]
    [InlineData("""{"w": ["0", 8, [2], [1], "torch.float32"]}""", "'w' is [\"0\"")]
    [InlineData("""{"w": [0, 9223372036854775808, [2], [1], "torch.float32"]}""", "9223372036854775808")]
    [InlineData("""{"w": [0, 8, [-2], [1], "torch.float32"]}""", "[-2]")]
    [InlineData("""{"w": [0, 8, [2], [-1], "torch.float32"]}""", "[-1]")]
    [InlineData("""{"w": [0, 8, 2, [1], "torch.float32"]}""", "'w' is [0, 8, 2")]
    [InlineData("""{"w": [0, 8, [2], [1], 5]}""", "'w' is [0, 8, [2], [1], 5]")]
    [InlineData("""{"w": [0, 8, [2], [1], "torch.float31"]}""", "'torch.float31'")]
    [InlineData("""{"w": [0, 8, [2], [1, 1], "torch.float32"]}""", "strides [1, 1]")]
    [InlineData("""{"w": [0, 8, [3], [1], "torch.float32"]}""", "byte 12 of its storage, which has 8 B")]
    [InlineData("""{"w": [0, 8, [2], [2], "torch.float32"]}""", "byte 12 of its storage")]
    [InlineData("""{"w": [0, 8, [9223372036854775807, 9223372036854775807], [9223372036854775807, 9223372036854775807], "torch.float32"]}""", "of its storage, which has 8 B")]
    [InlineData("""{"w": [96, 8, [2], [1], "torch.float32"]}""", "needs 8 B from byte 96 on, but the data files end at byte 100")]
    [InlineData("""{"w": [9223372036854775807, 8, [2], [1], "torch.float32"]}""", "from byte 9223372036854775807 on")]
    [InlineData("""{"w": [0, 8, [2], [1], "torch.float32"], "w": [0, 8, [2], [1], "torch.float32"]}""", "'w' is there twice")]
    public void Parse_BrokenIndex_IsDamagedAndNamesTheValue(string text, string named)
    {
        var failure = FluentActions.Invoking(() => Parse(text)).Should().Throw<ModelStoreException>().Which;

        failure.Fault.Should().Be(ModelStoreFault.Damaged);
        failure.Message.Should().StartWith("Model 'm': /models/m/tensor_index.json: ").And.Contain(named);
    }

    [Fact]
    public void Parse_EveryByteChanged_IsReadOrRefusedAsDamaged()
    {
        var sound = Encoding.ASCII.GetBytes("""{"b": [0, 12, [2, 3], [3, 1], "torch.float16"], "a": [16, 4, [], [], "torch.float32"]}""");
        var refused = 0;
        for (var i = 0; i < sound.Length * 8; i++)
        {
            var changed = (byte[])sound.Clone();
            changed[i / 8] ^= (byte)(1 << (i % 8));
            try
            {
                TensorIndex.Parse(Folder, changed, 100);
            }
            catch (ModelStoreException e) when (e.Fault == ModelStoreFault.Damaged)
            {
                refused++;
            }
        }

        refused.Should().BeGreaterThan(400, "most changes break the index; none may break the reader");
    }

    [Theory]
    [InlineData("torch.bool")]
    [InlineData("torch.float8_e4m3fn")]
    [InlineData("torch.float8_e5m2")]
    [InlineData("torch.complex64")]
    public void Parse_F8_TypesThatTheOriginalRefuses_AreRead(string type) =>
        Parse($$"""{"w": [0, 8, [1], [1], "{{type}}"]}""").Single().ElementType.Should().Be(type);

    [Fact]
    public void Format_OddNames_AreEscapedAsPythonDoes() =>
        Encoding.ASCII.GetString(TensorIndex.Format([new TensorInfo("a\"\\\n\t\u0001\u007fé模😀/", 8, 4, [2, 1], [1, 1], "torch.int16"), new TensorInfo("b", 0, 1, [], [], "torch.bool")]))
            .Should().Be("""{"a\"\\\n\t\u0001\u007f\u00e9\u6a21\ud83d\ude00/": [8, 4, [2, 1], [1, 1], "torch.int16"], "b": [0, 1, [], [], "torch.bool"]}""");

    private static IReadOnlyList<TensorInfo> Parse(string text) => TensorIndex.Parse(Folder, Encoding.UTF8.GetBytes(text), dataBytes: 100);
}
