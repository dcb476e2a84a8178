using LpLlm.Memory.Transport.Engine;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport;

/// <summary>Segments without memory. Operations end at once, or when the test says so (<see cref="IsManual"/>); what follows runs on its thread.</summary>
internal sealed class SimulatedSegmentSource : ISegmentSource
{
    private readonly Dictionary<SafeFileHandle, ulong> _files = [];
    private ulong _nextInode = 1;

    public bool IsManual { get; set; }

    /// <summary>Fails the next operations, oldest first; null lets one pass.</summary>
    public Queue<Exception?> Failures { get; } = [];

    public List<PendingOperation> Pending { get; } = [];

    /// <summary>Segments that take memory now.</summary>
    public List<SimulatedSegment> Live { get; } = [];

    /// <summary>What the engine did that it must not; tests expect none.</summary>
    public List<string> Violations { get; } = [];

    /// <summary>Bytes of segments that could not be discarded.</summary>
    public long UndiscardedBytes { get; private set; }

    /// <summary>All that ever were.</summary>
    public List<SimulatedSegment> All { get; } = [];

    /// <summary>Bytes of segments, and of those that are being made.</summary>
    public long TakenBytes => Live.Sum(segment => segment.LengthBytes)
        + Pending.Where(operation => operation.Kind == SimulatedOperation.Create).Sum(operation => operation.LengthBytes);

    /// <summary>A descriptor of memory that exists apart from this source.</summary>
    public SafeFileHandle File(ulong inode)
    {
        var file = new SafeFileHandle(nint.MaxValue, ownsHandle: false);
        _files.Add(file, inode);
        return file;
    }

    public ValueTask<Segment> CreateAsync(long lengthBytes, CancellationToken cancellationToken) =>
        MakeAsync(SimulatedOperation.Create, lengthBytes, _nextInode++, cancellationToken);

    public ulong Identify(SafeFileHandle file) => _files[file];

    public ValueTask<Segment> AdoptAsync(SafeFileHandle file, long lengthBytes, CancellationToken cancellationToken) =>
        MakeAsync(SimulatedOperation.Adopt, lengthBytes, _files[file], cancellationToken);

    public Task Start(SimulatedOperation kind, SimulatedSegment segment, Action<bool> ended)
    {
        var completion = new TaskCompletionSource();
        Run(kind, segment.LengthBytes, segment.Inode, _ => { }, failure =>
        {
            ended(failure is null);
            if (failure is null)
            {
                completion.SetResult();
            }
            else
            {
                completion.SetException(failure);
            }
        });
        return completion.Task;
    }

    public void Forget(SimulatedSegment segment, bool isDone)
    {
        UndiscardedBytes += isDone ? 0 : segment.LengthBytes;
        Demand(!isDone || Live.Remove(segment), "What is discarded was there.");
    }

    /// <summary>Remembers what the engine did wrong: it takes an exception here for one of the memory.</summary>
    public void Demand(bool condition, string what)
    {
        if (!condition)
        {
            Violations.Add(what);
        }
    }

    /// <summary>Ends all operations, and those that follow, until none is left.</summary>
    public void EndAll()
    {
        while (Pending.Count > 0)
        {
            Pending[0].End();
        }
    }

    private ValueTask<Segment> MakeAsync(SimulatedOperation kind, long lengthBytes, ulong inode, CancellationToken cancellationToken)
    {
        var completion = new TaskCompletionSource<Segment>();
        Run(kind, lengthBytes, inode, operation => cancellationToken.Register(() => operation.IsCancelled = true), failure =>
        {
            if (failure is not null)
            {
                completion.SetException(failure);
                return;
            }

            var segment = new SimulatedSegment(this, lengthBytes, inode);
            Live.Add(segment);
            All.Add(segment);
            completion.SetResult(segment);
        });
        return new ValueTask<Segment>(completion.Task);
    }

    private void Run(SimulatedOperation kind, long lengthBytes, ulong inode, Action<PendingOperation> started, Action<Exception?> end)
    {
        Failures.TryDequeue(out var failure);
        if (!IsManual)
        {
            end(failure);
            return;
        }

        PendingOperation? operation = null;
        operation = new PendingOperation(kind, lengthBytes, inode, later =>
        {
            Pending.Remove(operation!).Should().BeTrue();
            end(later ?? failure);
        });
        Pending.Add(operation);
        started(operation);
    }
}
