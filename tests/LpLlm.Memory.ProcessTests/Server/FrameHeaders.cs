using LpLlm.Memory.Transport.Pipes;

namespace LpLlm.Memory.Tests.Server;

/// <summary>Finds the frames' headers in one direction of a connection, however its bytes are split.</summary>
internal sealed class FrameHeaders
{
    private readonly byte[] _header = new byte[FrameHeader.LengthBytes];
    private int _headerBytes;
    private long _skipBytes = Preface.LengthBytes;

    /// <summary>Headers that are whole now.</summary>
    public IReadOnlyList<FrameHeader> Read(ReadOnlySpan<byte> bytes)
    {
        var found = new List<FrameHeader>();
        while (bytes.Length > 0)
        {
            var skip = (int)Math.Min(_skipBytes, bytes.Length);
            _skipBytes -= skip;
            bytes = bytes[skip..];
            var part = Math.Min(_header.Length - _headerBytes, bytes.Length);
            bytes[..part].CopyTo(_header.AsSpan(_headerBytes));
            _headerBytes += part;
            bytes = bytes[part..];
            if (_headerBytes == _header.Length)
            {
                found.Add(FrameHeader.Read(_header));
                _skipBytes = found[^1].FrameBytes - FrameHeader.LengthBytes;
                _headerBytes = 0;
            }
        }

        return found;
    }
}
