using System.Globalization;
using Google.Protobuf;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Client;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Children;

/// <summary>One session of the bare protocol and one lease, step by step.</summary>
internal sealed class SessionPuppet(Uri endPoint)
{
    /// <summary>Of all sessions: their memory lasts as long as the process.</summary>
    private static readonly AddressRange Range = AddressRange.Create(16L << 30);

    private readonly List<MappedSegment> _segments = [];
    private ProtocolClient? _client;
    private Lease? _lease;

    private ProtocolClient Client => _client ?? throw new InvalidOperationException("Not connected.");

    private ulong LeaseId => _lease?.Id ?? throw new InvalidOperationException("No lease.");

    public async Task<string> DoAsync(string[] command)
    {
        switch (command)
        {
            case ["connect"]:
                _client = await ProtocolClient.ConnectAsync(endPoint);
                return "";
            case ["hello", .. var session]:
                var hello = await Client.HelloAsync($"puppet {Environment.ProcessId}", session is [var hex] ? FromHex(hex) : null);
                return $"{ToHex(hello.Session)} {hello.Resumed}";
            case ["acquire", var length, .. var timeout]:
                return Take(await Client.AcquireAsync(Number(length), timeout is [var wait] ? Number(wait) : 0));
            case ["grow", var length]:
                return Take(await Client.GrowAsync(LeaseId, Number(length)));
            case ["attach", var token]:
                return Take(await Client.AttachAsync(FromHex(token)));
            case ["restore"]:
                var (restored, files) = await Client.RestoreAsync(
                    _lease!.Token, _segments.Select(segment => segment.LengthBytes), [.. _segments.Select(segment => segment.File)]);
                Array.ForEach(files, file => file.Dispose());
                _lease = restored;
                return restored.Id.ToString(CultureInfo.InvariantCulture);
            case ["shrink"]:
                var last = _segments[^1];
                _segments.RemoveAt(_segments.Count - 1);
                last.Dispose();
                await Client.ShrinkAsync(LeaseId, last.Id);
                return "";
            case ["shrink", var lease, var segment]:
                await Client.ShrinkAsync(Id(lease), Id(segment));
                return "";
            case ["release"]:
                Unmap();
                await Client.ReleaseAsync(LeaseId);
                return "";
            case ["release-mapped"]:
                await Client.ReleaseAsync(LeaseId);
                return "";
            case ["release", var lease]:
                await Client.ReleaseAsync(Id(lease));
                return "";
            case ["grow", var lease, var length]:
                return Take(await Client.GrowAsync(Id(lease), Number(length)));
            case ["goodbye"]:
                Unmap();
                await Client.CallAsync(PoolMethod.Release, new ReleaseRequest { Session = Client.Session, Goodbye = true }, ReleaseReply.Parser);
                return "";
            case ["renew"]:
                await Client.CallAsync(PoolMethod.Renew, new RenewRequest { Session = Client.Session }, RenewReply.Parser);
                return "";
            case ["watch"]:
                _ = Client.WatchAsync(_ => { });
                return "";
            case ["disconnect"]:
                await Client.DisposeAsync();
                return "";
            default:
                return DoWithMemory(command);
        }
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static ulong Id(string text) => ulong.Parse(text, CultureInfo.InvariantCulture);

    private static ByteString FromHex(string text) => ByteString.CopyFrom(Convert.FromHexString(text));

    private static string ToHex(ByteString bytes) => Convert.ToHexString(bytes.Span);

    private string DoWithMemory(string[] command)
    {
        switch (command)
        {
            case ["map"]:
                _segments.ForEach(segment => segment.MapInto(Range));
                return "";
            case ["fill", var seed]:
                _segments.ForEach(segment => Pattern.Fill(segment.Address, segment.LengthBytes, Number(seed)));
                return "";
            case ["check", var seed]:
                return Text(_segments.Sum(segment => Pattern.CountWrong(segment.Address, segment.LengthBytes, Number(seed))));
            case ["nonzero"]:
                return Text(_segments.Sum(segment => Pattern.CountNonZero(segment.Address, segment.LengthBytes)));
            case ["segments"]:
                return string.Join(',', _segments.Select(segment => segment.Id));
            case ["inodes"]:
                return string.Join(',', _segments.Select(segment => segment.Inode));
            case ["write-forever", var seed]:
                WriteForever(Number(seed));
                return "";
            case ["truncate", var length]:
                return Hostile.Truncate(_segments[0].File, Number(length));
            case ["punch"]:
                return Hostile.Punch(_segments[0].File, _segments[0].LengthBytes);
            case ["look", var folder]:
                return Hostile.Look(folder);
            case ["fork"]:
                return Text(Hostile.Fork());
            default:
                throw new ArgumentException($"No command '{string.Join(' ', command)}'.");
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private string Take((Lease Lease, SafeFileHandle[] Files) answer)
    {
        _lease = answer.Lease;
        _segments.AddRange(answer.Lease.Segments.Zip(answer.Files, (segment, file) => new MappedSegment(segment, file)));
        return $"{answer.Lease.Id} {ToHex(answer.Lease.Token)}";
    }

    private void Unmap()
    {
        _segments.ForEach(segment => segment.Dispose());
        _segments.Clear();
    }

    /// <summary>Copies the pattern into the memory again and again, until the process is killed.</summary>
    private void WriteForever(long seed)
    {
        var thread = new Thread(() =>
        {
            while (true)
            {
                _segments.ForEach(segment => Pattern.Fill(segment.Address, segment.LengthBytes, seed));
            }
        });
        thread.IsBackground = true;
        thread.Start();
    }
}
