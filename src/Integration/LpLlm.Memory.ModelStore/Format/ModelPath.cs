using System.Runtime.InteropServices;

namespace LpLlm.Memory.Models;

/// <summary>Where a model lies: its path under the storage path, which nothing may lead out of.</summary>
internal static class ModelPath
{
    /// <param name="storagePath">Folder of all models; need not exist.</param>
    /// <param name="modelPath">Names with <c>/</c> between them, as a client sent it.</param>
    /// <returns>The model's folder, symbolic links resolved as far as it exists. It need not exist.</returns>
    /// <exception cref="ArgumentException">The model path is empty, absolute, has a part that is empty or <c>.</c> or <c>..</c>, or leads out.</exception>
    public static string Resolve(string storagePath, string modelPath)
    {
        ArgumentException.ThrowIfNullOrEmpty(storagePath);
        ArgumentException.ThrowIfNullOrEmpty(modelPath);
        Check(modelPath);
        var root = RealPath(Path.GetFullPath(storagePath), modelPath);
        var folder = RealPath(Path.Combine(root, modelPath), modelPath);
        return folder.StartsWith(root.EndsWith('/') ? root : root + "/", StringComparison.Ordinal)
            ? folder
            : throw Refusal(modelPath, $"a symbolic link leads to {folder}, which is out of the storage path {root}");
    }

    private static void Check(string modelPath)
    {
        if (modelPath[0] == '/')
        {
            throw Refusal(modelPath, "it is absolute");
        }

        if (modelPath.Any(c => char.IsControl(c) || c == '\\'))
        {
            throw Refusal(modelPath, "it has a control character or a backslash");
        }

        if (modelPath.Split('/').FirstOrDefault(part => part is "" or "." or "..") is { } part)
        {
            throw Refusal(modelPath, part.Length == 0 ? "a part of it is empty" : $"it has '{part}' as a part");
        }
    }

    /// <summary>The path without symbolic links. What does not exist yet is appended to what does.</summary>
    private static string RealPath(string path, string modelPath)
    {
        if (PathNative.TryResolve(path) is { } resolved)
        {
            return resolved;
        }

        var error = Marshal.GetLastPInvokeError();
        if (error is not (PathNative.NoEntry or PathNative.NotAFolder))
        {
            throw Refusal(modelPath, $"{path} cannot be resolved: {Marshal.GetPInvokeErrorMessage(error)}");
        }

        // Whoever creates a dangling link's target later would lead us there.
        return new FileInfo(path).LinkTarget is { } target
            ? throw Refusal(modelPath, $"{path} is a symbolic link to {target}, which does not exist")
            : Path.Combine(RealPath(Path.GetDirectoryName(path)!, modelPath), Path.GetFileName(path));
    }

    private static ArgumentException Refusal(string modelPath, string reason) => new(
        $"The model path '{Printable(modelPath)}' is refused: {reason}. Names with / between them, below the storage path, are expected, such as llama/7b.",
        nameof(modelPath));

    /// <summary>A client's text ends up in logs and on terminals.</summary>
    private static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? $"\\u{(int)c:x4}" : $"{c}"));
}
