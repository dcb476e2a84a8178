using System.Runtime.InteropServices;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>
/// Copies between this process's own memory and memory that a client shares. The kernel does it: a client can punch a hole at any time, and where no
/// page can be had for it the kernel answers EFAULT, while a load or store from here would be a SIGBUS, the end of the server.
/// </summary>
internal static unsafe partial class SharedCopy
{
    /// <exception cref="PoolFaultException">Pages of the shared memory are gone.</exception>
    public static void Read(nint shared, Span<byte> own)
    {
        fixed (byte* bytes = own)
        {
            Copy(&ReadMemory, bytes, shared, own.Length);
        }
    }

    /// <inheritdoc cref="Read"/>
    public static void Write(nint shared, ReadOnlySpan<byte> own)
    {
        fixed (byte* bytes = own)
        {
            Copy(&WriteMemory, bytes, shared, own.Length);
        }
    }

    private static void Copy(delegate*<int, Piece*, nuint, Piece*, nuint, nuint, nint> call, byte* own, nint shared, int length)
    {
        for (var done = 0; done < length;)
        {
            var near = new Piece { Address = (nint)own + done, LengthBytes = (nuint)(length - done) };
            var far = new Piece { Address = shared + done, LengthBytes = (nuint)(length - done) };
            var copied = call(Environment.ProcessId, &near, 1, &far, 1, 0);
            if (copied <= 0)
            {
                throw new PoolFaultException(
                    PoolFaultCode.FailedPrecondition,
                    $"The memory cannot be copied (errno {Marshal.GetLastPInvokeError()}): its client has taken pages out of it. Free it and allocate anew.");
            }

            done += (int)copied;
        }
    }

    [LibraryImport("libc", EntryPoint = "process_vm_readv", SetLastError = true)]
    private static partial nint ReadMemory(int process, Piece* own, nuint ownCount, Piece* shared, nuint sharedCount, nuint flags);

    [LibraryImport("libc", EntryPoint = "process_vm_writev", SetLastError = true)]
    private static partial nint WriteMemory(int process, Piece* own, nuint ownCount, Piece* shared, nuint sharedCount, nuint flags);

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Piece
    {
        public nint Address;
        public nuint LengthBytes;
    }
}
