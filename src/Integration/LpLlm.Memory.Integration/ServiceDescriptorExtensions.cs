using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory;

internal static class ServiceDescriptorExtensions
{
    /// <summary>The instance of an unkeyed descriptor; asking a keyed one for it throws.</summary>
    public static object? ImplementationInstanceOrNull(this ServiceDescriptor descriptor) =>
        descriptor.IsKeyedService ? null : descriptor.ImplementationInstance;
}
