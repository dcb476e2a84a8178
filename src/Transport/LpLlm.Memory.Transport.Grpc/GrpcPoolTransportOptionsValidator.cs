using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>Reports everything that is wrong with the options at once.</summary>
internal sealed class GrpcPoolTransportOptionsValidator : IValidateOptions<GrpcPoolTransportOptions>
{
    public ValidateOptionsResult Validate(string? name, GrpcPoolTransportOptions options)
    {
        var errors = new List<string>();
        options.Validate(errors);
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }
}
