using System.Collections;
using System.ComponentModel;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Configuration;

/// <summary>
/// Binds options whose <see cref="long"/> properties are sizes, and those <see cref="int"/> ones whose names end with Bytes: <c>"2GiB"</c> is
/// accepted where the plain binder reads digits only.
/// </summary>
/// <remarks>
/// The plain binder stops at the first bad value; here every problem of a section is collected, because an operator who
/// mends a file one restart at a time pays a start-up for each line.
/// </remarks>
internal static class SizedConfiguration
{
    /// <summary>Binds a section. Every unknown key and every bad value is reported, together, by its full path.</summary>
    /// <param name="section">The section that describes <paramref name="options"/>; an empty one changes nothing.</param>
    /// <param name="options">Is changed only when the whole section is right.</param>
    /// <exception cref="OptionsValidationException">The section has problems; one message each.</exception>
    internal static void Bind<TOptions>(IConfiguration section, TOptions options)
        where TOptions : class
    {
        ArgumentNullException.ThrowIfNull(section);
        ArgumentNullException.ThrowIfNull(options);
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        var problems = new List<string>();
        ReadObject(section, options.GetType(), values, problems);
        if (problems.Count > 0)
        {
            throw new OptionsValidationException(Options.DefaultName, typeof(TOptions), problems);
        }

        // Full paths, not relative ones: what the binder itself still refuses (a property's own setter) then names them too.
        IConfiguration copy = new ConfigurationBuilder().AddInMemoryCollection(values).Build();
        var path = (section as IConfigurationSection)?.Path ?? "";
        (path.Length > 0 ? copy.GetSection(path) : copy).Bind(options, binder => binder.ErrorOnUnknownConfiguration = true);
    }

    private static void ReadObject(IConfiguration section, Type type, Dictionary<string, string?> values, List<string> problems)
    {
        var properties = PropertiesOf(type);
        foreach (var child in section.GetChildren())
        {
            if (properties.TryGetValue(child.Key, out var property))
            {
                Read(child, property.PropertyType, values, problems);
            }
            else
            {
                var known = string.Join(", ", properties.Keys.Order(StringComparer.Ordinal));
                problems.Add($"{child.Path} is not an option; the options here are {known}.");
            }
        }
    }

    private static void Read(IConfigurationSection section, Type type, Dictionary<string, string?> values, List<string> problems)
    {
        if (section.Value is not null || !section.GetChildren().Any())
        {
            values[section.Path] = section.Value; // A section proper has no value of its own: a null here would null its property.
        }

        var scalar = Nullable.GetUnderlyingType(type) ?? type;
        if (TypeDescriptor.GetConverter(scalar).CanConvertFrom(typeof(string)))
        {
            ReadScalar(section, scalar, nullable: scalar != type || !type.IsValueType, values, problems);
        }
        else if (!string.IsNullOrEmpty(section.Value))
        {
            problems.Add($"{section.Path} = '{section.Value}' is a single value; a section is expected.");
        }
        else if (ElementTypeOf(type) is { } elementType)
        {
            foreach (var child in section.GetChildren())
            {
                Read(child, elementType, values, problems);
            }
        }
        else
        {
            ReadObject(section, type, values, problems);
        }
    }

    private static void ReadScalar(
        IConfigurationSection section, Type type, bool nullable, Dictionary<string, string?> values, List<string> problems)
    {
        var text = section.Value;
        var largest = type == typeof(long) ? long.MaxValue
            : type == typeof(int) && section.Key.EndsWith("Bytes", StringComparison.OrdinalIgnoreCase) ? int.MaxValue
            : 0;
        if (section.GetChildren().Any())
        {
            problems.Add($"{section.Path} is a section; {Accepted(type, largest)} is expected.");
        }
        else if (text is null || (text.Length == 0 && nullable))
        {
            return; // The binder leaves the default, or sets null.
        }
        else if (largest > 0 && ByteSize.TryParse(text, out var bytes) && bytes <= largest)
        {
            values[section.Path] = bytes.ToString(CultureInfo.InvariantCulture);
        }
        else if (largest > 0 || !CanConvert(type, text))
        {
            problems.Add($"{section.Path} = '{text}' is not valid; {Accepted(type, largest)} is expected.");
        }
    }

    // The converters tell of bad text by exceptions of their own choice (ArgumentException around FormatException or
    // OverflowException, plain FormatException); IsValid turns all of them into an answer.
    private static bool CanConvert(Type type, string text)
    {
        var converter = TypeDescriptor.GetConverter(type);
        return type.IsEnum ? Enum.TryParse(type, text, ignoreCase: true, out _) : IsValid(converter, text);
    }

    private static bool IsValid(TypeConverter converter, string text)
    {
        try
        {
            return converter.ConvertFromInvariantString(text) is not null;
        }
        catch (Exception failure) when (failure is ArgumentException or FormatException or OverflowException or NotSupportedException)
        {
            return false; // Reported by the caller, with the path and the value.
        }
    }

    private static string Accepted(Type type, long largestSize) => Type.GetTypeCode(type) switch
    {
        _ when largestSize == int.MaxValue => "a size such as 64KiB or 4096, below 2GiB,",
        _ when type.IsEnum => $"one of {string.Join(", ", Enum.GetNames(type))}",
        TypeCode.Int64 => "a size such as 2GiB, 512MB or 4096",
        TypeCode.Int32 => $"a whole number from {int.MinValue} to {int.MaxValue}",
        TypeCode.Boolean => "true or false",
        TypeCode.Single or TypeCode.Double or TypeCode.Decimal => "a number",
        TypeCode.String => "a text",
        _ when type == typeof(TimeSpan) => "a time such as 00:00:30",
        _ => $"a {type.Name}",
    };

    private static Type? ElementTypeOf(Type type)
    {
        var element = type.GetInterfaces().Append(type)
            .FirstOrDefault(candidate => candidate.IsGenericType && candidate.GetGenericTypeDefinition() == typeof(IEnumerable<>))
            ?.GetGenericArguments()[0];
        var isPair = element is { IsGenericType: true } && element.GetGenericTypeDefinition() == typeof(KeyValuePair<,>);
        return typeof(IEnumerable).IsAssignableFrom(type) && isPair ? element!.GetGenericArguments()[1] : element;
    }

    private static Dictionary<string, PropertyInfo> PropertiesOf(Type type) => type
        .GetProperties(BindingFlags.Public | BindingFlags.Instance)
        .Where(property => property.GetIndexParameters().Length == 0)
        .ToDictionary(
            property => property.GetCustomAttribute<ConfigurationKeyNameAttribute>()?.Name ?? property.Name,
            StringComparer.OrdinalIgnoreCase);
}
