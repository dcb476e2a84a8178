using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Windows;

/// <summary>The Windows calls about named pipes that .NET has no class for.</summary>
[SupportedOSPlatform("windows")]
internal static partial class NamedPipeCalls
{
    public const int AccessDenied = 5;
    public const int PipeBusy = 231;

    /// <summary>HResult of ERROR_NO_DATA: a client came and went again.</summary>
    public const int ClientIsGone = unchecked((int)0x800700E8);

    private const uint ReadAndWrite = 0xC0000000;
    private const uint OpenExisting = 3;
    private const uint Asynchronous = 0x40000000;

    /// <summary>SECURITY_SQOS_PRESENT and SECURITY_IDENTIFICATION: the server learns who this is, and cannot act as it.</summary>
    private const uint IdentifyOnly = 0x00110000;

    /// <summary>Opens the client's end; invalid, with the error set, if nobody listens or nobody accepts at that moment.</summary>
    public static SafePipeHandle Open(string path) => Create(path, ReadAndWrite, share: 0, security: 0, OpenExisting, Asynchronous | IdentifyOnly, template: 0);

    [LibraryImport("kernel32", EntryPoint = "GetNamedPipeClientProcessId", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool GetClientProcessId(SafePipeHandle pipe, out int processId);

    [LibraryImport("kernel32", EntryPoint = "CreateFileW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial SafePipeHandle Create(string path, uint access, uint share, nint security, uint disposition, uint flags, nint template);
}
