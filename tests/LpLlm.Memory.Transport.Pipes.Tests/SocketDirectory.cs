namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A private directory for the sockets of one test.</summary>
internal sealed class SocketDirectory : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("pipes");

    public string Path => _directory.FullName;

    public string SocketFile => System.IO.Path.Combine(Path, "s");

    public Uri EndPoint => new("pipe://" + SocketFile);

    public void Dispose() => _directory.Delete(recursive: true);
}
