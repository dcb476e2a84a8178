namespace LpLlm.Memory.Models;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Theory]
    [InlineData("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 7, "describes")]
    [InlineData("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 9, "describes")]
    [InlineData("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,7]}}""", 8, "8 B are expected")]
    [InlineData("""{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}""", 8, "are expected")]
    [InlineData("""{"w":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}""", 8, "'F31'")]
    [InlineData("""{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "'w' is")]
    [InlineData("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "'w' is")]
    [InlineData("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[0]}}""", 8, "'w' is")]
    [InlineData("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807]}}""", 8, "'w' is")]
    [InlineData("""{"w":{"shape":[2],"data_offsets":[0,8]}}""", 8, "'w' is")]
    [InlineData("""{"w":[]}""", 0, "'w' is []")]
    [InlineData("""[]""", 0, "Array")]
    [InlineData("""{"w":""", 0, "not the JSON")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}""", 6, "'b' begins at byte 2")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}}""", 9, "'b' begins at byte 5")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", 8, "'a' is there twice")]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "not the JSON")]
    [InlineData("""{"__metadata__":{"a":null}}""", 0, "'a' of __metadata__ is null")]
    [InlineData("""{"w":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "'w' of shape")]
    public void Open_BrokenHeader_IsRefusedAndNamesTheValue(string header, int dataBytes, string named) =>
        Refusal(SafetensorsBuilder.File(header, new byte[dataBytes])).Should().Contain("model.safetensors").And.Contain(named);

    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(-1)]
    [InlineData(100_000_001)]
    [InlineData(3)]
    public void Open_HeaderLongerThanTheFile_IsRefused(long headerBytes) =>
        Refusal(SafetensorsBuilder.File("{}", [], headerBytes)).Should().Contain($"{(ulong)headerBytes} B");

    [Fact]
    public void Open_EveryCut_IsRefused()
    {
        var sound = SafetensorsBuilder.File([("w", "F32", [2], new byte[8])]);
        for (var length = 0; length < sound.Length; length++)
        {
            Refusal(sound[..length]).Should().NotBeEmpty();
        }
    }

    [Fact]
    public void Open_EveryByteOfTheHeaderChanged_IsReadOrRefusedAsDamaged()
    {
        var sound = SafetensorsBuilder.File([("w", "F32", [2], new byte[8]), ("x", "U8", [], new byte[1])], """{"a":"w"}""");
        var refused = 0;
        for (var i = 0; i < sound.Length - 9; i++)
        {
            foreach (var flip in new byte[] { 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80 })
            {
                var changed = (byte[])sound.Clone();
                changed[i] ^= flip;
                var source = _folder.Model("source", ("model.safetensors", changed));
                try
                {
                    SafetensorsFolder.Open(source.FullPath, source).Dispose();
                }
                catch (ModelStoreException e) when (e.Fault == ModelStoreFault.Damaged)
                {
                    refused++;
                }
            }
        }

        refused.Should().BeGreaterThan(500, "most changes break the header; none may break the reader");
    }

    public void Dispose() => _folder.Dispose();

    private string Refusal(byte[] file)
    {
        var source = _folder.Model("source", ("model.safetensors", file));
        var failure = FluentActions.Invoking(() => SafetensorsFolder.Open(source.FullPath, source)).Should().Throw<ModelStoreException>().Which;
        failure.Fault.Should().Be(ModelStoreFault.Damaged);
        return failure.Message;
    }
}
