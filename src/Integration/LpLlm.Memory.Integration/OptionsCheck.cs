using Microsoft.Extensions.Options;

namespace LpLlm.Memory;

/// <summary>The options system's door to the rule books: all errors together, each with whose options they are.</summary>
internal static class OptionsCheck
{
    public static ValidateOptionsResult Run(string owner, Action<ICollection<string>> validate)
    {
        var errors = new List<string>();
        validate(errors);
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors.Select(error => $"{owner}: {error}"));
    }
}
