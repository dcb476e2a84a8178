using System.Diagnostics;
using System.IO.Pipelines;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Pipes that are only pooled buffers: read where they are not empty, and never making a writer wait.</summary>
internal static class PipeBuffer
{
    public static Pipe Create() => new(new PipeOptions(pauseWriterThreshold: 0, resumeWriterThreshold: 0, useSynchronizationContext: false));

    /// <summary>Takes a flush for done, which it always is: there is no threshold to wait for.</summary>
    public static void Flushed(ValueTask<FlushResult> flush)
    {
        if (!flush.IsCompletedSuccessfully)
        {
            throw new UnreachableException("A pipe without a threshold made its writer wait.");
        }
    }
}
