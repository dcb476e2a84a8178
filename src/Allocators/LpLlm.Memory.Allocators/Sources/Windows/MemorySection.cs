using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources.Windows;

/// <summary>
/// Sections that the page file backs: a handle is all that another process needs to map the same pages, they go with the last holder, and nobody can
/// change their length.
/// </summary>
[SupportedOSPlatform("windows")]
internal static class MemorySection
{
    /// <summary>A name shows whether two handles lead to one section, which nothing else does in one call. It is random, and nobody opens it.</summary>
    private const string NamePrefix = @"lpllm-memory-";

    private const int MaxNameBytes = 1024;

    /// <exception cref="MemorySourceException">Windows refuses.</exception>
    public static SafeFileHandle Create(long lengthBytes)
    {
        var name = $@"Local\{NamePrefix}{Convert.ToHexString(RandomNumberGenerator.GetBytes(sizeof(ulong)))}";
        var section = MemoryCalls.CreateSection(
            MemoryCalls.PageFile, 0, MemoryCalls.ReadWrite | MemoryCalls.Committed, (uint)(lengthBytes >> 32), (uint)lengthBytes, name);
        if (!section.IsInvalid && Marshal.GetLastPInvokeError() != MemoryCalls.AlreadyExists)
        {
            return section;
        }

        section.Dispose();
        throw MemoryCalls.Failure("CreateFileMapping", lengthBytes, "Not enough memory or page file: lower CapacityBytes, or enlarge the page file.");
    }

    /// <summary>Tells a section from all others; null for what <see cref="Create"/> has not made.</summary>
    public static ulong? Identify(SafeFileHandle section)
    {
        // The kind first: asking a pipe for its name can hang.
        var name = Read(section, MemoryCalls.ObjectKind) == "Section" ? Read(section, MemoryCalls.ObjectName) : "";
        var start = name.LastIndexOf('\\') + 1;
        return name[start..].StartsWith(NamePrefix, StringComparison.Ordinal)
            && ulong.TryParse(name.AsSpan(start + NamePrefix.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var id)
                ? id
                : null;
    }

    /// <summary>A handle by which the section can be read, and not written to.</summary>
    /// <exception cref="MemorySourceException">Windows refuses.</exception>
    public static SafeFileHandle OpenToRead(SafeFileHandle section) =>
        MemoryCalls.Duplicate(MemoryCalls.ThisProcess, section, MemoryCalls.ThisProcess, out var copy, MemoryCalls.MapRead, inherit: false, options: 0)
            ? copy
            : throw MemoryCalls.Failure("DuplicateHandle", 0, "The process may have no more handles: close some.");

    /// <summary>What Windows says first of a handle's object: a UNICODE_STRING with length in bytes (2), room (2), and on 8 the pointer to its text.</summary>
    private static unsafe string Read(SafeFileHandle handle, int kind)
    {
        var buffer = stackalloc byte[MaxNameBytes];
        return MemoryCalls.Query(handle, kind, buffer, MaxNameBytes, out _) == 0
            ? new string((char*)*(nint*)(buffer + sizeof(long)), 0, *(ushort*)buffer / sizeof(char))
            : "";
    }
}
