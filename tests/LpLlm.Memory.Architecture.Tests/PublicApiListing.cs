using System.Globalization;
using System.Reflection;

namespace LpLlm.Memory.Architecture;

/// <summary>Writes an assembly's public surface, one sorted line a member.</summary>
internal static class PublicApiListing
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static IReadOnlyList<string> Of(Assembly assembly) =>
        [.. assembly.GetExportedTypes().SelectMany(type => Members(type).Prepend(Describe(type))).Order(StringComparer.Ordinal)];

    private static string Describe(Type type)
    {
        var kind = type.IsEnum ? "enum"
            : type.IsInterface ? "interface"
            : type.IsValueType ? "struct"
            : type is { IsAbstract: true, IsSealed: true } ? "static class"
            : type.IsSealed ? "sealed class"
            : type.IsAbstract ? "abstract class" : "class";
        var bases = type.GetInterfaces().Where(i => i.IsPublic).Select(Name).Order(StringComparer.Ordinal).ToList();
        if (type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType) && parent != typeof(Enum))
        {
            bases.Insert(0, Name(parent));
        }

        return $"{Name(type)} [{kind}]" + (bases.Count > 0 && !type.IsEnum ? " : " + string.Join(", ", bases) : "");
    }

    private static IEnumerable<string> Members(Type type)
    {
        foreach (var member in type.GetMembers(Declared))
        {
            var text = member switch
            {
                FieldInfo { IsSpecialName: false } field when IsVisible(field) => $"{field.Name} : {Name(field.FieldType)}{Value(field)}",
                ConstructorInfo constructor when IsVisible(constructor) => $"new({Parameters(constructor)})",
                MethodInfo method when IsVisible(method) && (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal)) =>
                    $"{method.Name}{Generics(method)}({Parameters(method)}) : {Name(method.ReturnType)}",
                PropertyInfo property when property.GetAccessors(nonPublic: true).Any(IsVisible) =>
                    $"{property.Name} {{ {Accessors(property)}}} : {Name(property.PropertyType)}",
                _ => null,
            };
            if (text is not null)
            {
                yield return $"{Name(type)}.{text}";
            }
        }
    }

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsVisible(FieldInfo field) => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly;

    private static string Accessors(PropertyInfo property) =>
        (property.GetMethod is { } get && IsVisible(get) ? "get; " : "")
        + (property.SetMethod is { } set && IsVisible(set) ? IsInit(set) ? "init; " : "set; " : "");

    private static bool IsInit(MethodInfo setter) => setter.ReturnParameter.GetRequiredCustomModifiers()
        .Any(modifier => modifier.Name == "IsExternalInit");

    private static string Value(FieldInfo field) =>
        field.IsLiteral ? " = " + Convert.ToString(field.GetRawConstantValue(), CultureInfo.InvariantCulture) : "";

    private static string Generics(MethodInfo method) =>
        method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(Name))}>" : "";

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        (parameter.IsOut ? "out " : parameter.IsIn ? "in " : "")
        + Name(parameter.ParameterType) + " " + parameter.Name
        + (parameter.HasDefaultValue
            ? " = " + (Convert.ToString(parameter.RawDefaultValue, CultureInfo.InvariantCulture) is { Length: > 0 } text ? text : "default")
            : "")));

    private static string Name(Type type)
    {
        if (type.IsByRef || type.IsArray || type.IsPointer)
        {
            return Name(type.GetElementType()!) + (type.IsByRef ? "&" : type.IsArray ? "[]" : "*");
        }

        if (type.IsGenericParameter)
        {
            return type.Name;
        }

        var name = type.Namespace?.StartsWith("System", StringComparison.Ordinal) == true ? type.Name : type.FullName ?? $"{type.Namespace}.{type.Name}";
        return type.IsGenericType
            ? $"{name.Split('`')[0]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
            : name;
    }
}
