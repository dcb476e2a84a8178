using LpLlm.Memory.Transport.Engine;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport;

/// <summary>Memory that remembers who wrote to it: the engine's promises about contents can be checked against it.</summary>
internal sealed class SimulatedSegment(SimulatedSegmentSource source, long lengthBytes, ulong inode) : Segment(lengthBytes, isPageLocked: true)
{
    private readonly List<string> _writers = [];

    /// <summary>Who wrote since it was last zeroed.</summary>
    public IReadOnlyList<string> Writers => _writers;

    public int ClearCount { get; private set; }

    /// <summary>Null while it was not discarded.</summary>
    public bool? FreedPages { get; private set; }

    public bool IsBusy { get; private set; }

    public override nint Address => (nint)inode;

    public override SafeFileHandle? File => null;

    public override ulong Inode => inode;

    public override string Path => $"/proc/self/fd/{inode}";

    public void Write(string writer) => _writers.Add(writer);

    /// <summary>Null while its seals are not final.</summary>
    public bool? IsReadOnly { get; private set; }

    public override void Seal(bool readOnly) => IsReadOnly ??= readOnly;

    public override ValueTask ClearAsync()
    {
        source.Demand(IsReadOnly is not true, "What is sealed read-only is never used again.");
        source.Demand(FreedPages is null && !IsBusy, "Only a segment that is there and rests is cleared.");
        IsBusy = true;
        return new ValueTask(source.Start(SimulatedOperation.Clear, this, isDone =>
        {
            IsBusy = false;
            if (isDone)
            {
                ClearCount++;
                _writers.Clear();
            }
        }));
    }

    public override ValueTask DiscardAsync(bool freesPages)
    {
        source.Demand(FreedPages is null && !IsBusy, "A segment is discarded once, and when it rests.");
        source.Demand(!freesPages || IsReadOnly is not true, "The system does not free pages of what is sealed read-only.");
        FreedPages = freesPages;
        return new ValueTask(source.Start(SimulatedOperation.Discard, this, isDone => source.Forget(this, isDone)));
    }
}
