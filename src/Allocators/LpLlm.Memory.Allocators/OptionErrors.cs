namespace LpLlm.Memory;

/// <summary>The constructors' door to the options' rule books.</summary>
internal static class OptionErrors
{
    /// <exception cref="ArgumentException">There are errors; every one is named.</exception>
    public static void ThrowIfAny(string poolName, Action<ICollection<string>> validate, string parameterName)
    {
        var errors = new List<string>();
        validate(errors);
        if (errors.Count > 0)
        {
            throw new ArgumentException($"Pool '{poolName}': {string.Join(' ', errors)}", parameterName);
        }
    }
}
