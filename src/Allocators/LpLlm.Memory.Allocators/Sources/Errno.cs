namespace LpLlm.Memory.Sources;

/// <summary>Linux error numbers that the memory calls return.</summary>
internal static class Errno
{
    public const int EPerm = 1;
    public const int EIntr = 4;
    public const int EAgain = 11;
    public const int ENoMem = 12;
    public const int EInval = 22;
    public const int ENoSys = 38;

    /// <summary>A failed call with no limit to name.</summary>
    public static MemorySourceException Failure(string operation, int code, long lengthBytes, string remedy) =>
        new(operation, code, NameOf(code), lengthBytes, limitBytes: null, remedy);

    public static string NameOf(int code) => code switch
    {
        0 => "OK",
        EPerm => "EPERM",
        EIntr => "EINTR",
        9 => "EBADF",
        EAgain => "EAGAIN",
        ENoMem => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        19 => "ENODEV",
        EInval => "EINVAL",
        24 => "EMFILE",
        ENoSys => "ENOSYS",
        133 => "EHWPOISON",
        _ => $"errno {code}",
    };
}
