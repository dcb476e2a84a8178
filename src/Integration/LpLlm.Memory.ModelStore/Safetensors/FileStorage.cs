using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>A storage that is a range of an open file.</summary>
internal sealed class FileStorage(string path, SafeFileHandle handle, long offsetBytes, long lengthBytes) : TensorStorage
{
    public override long LengthBytes => lengthBytes;

    public static void ReadExactly(string path, SafeFileHandle handle, long offsetBytes, Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var readBytes = RandomAccess.Read(handle, buffer, offsetBytes);
            if (readBytes == 0)
            {
                throw new EndOfStreamException($"{path} ends at byte {offsetBytes}, {buffer.Length} B too early: somebody has cut it short");
            }

            buffer = buffer[readBytes..];
            offsetBytes += readBytes;
        }
    }

    public override void Read(long offset, Span<byte> buffer) => ReadExactly(path, handle, offsetBytes + offset, buffer);
}
