using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Cuda;

internal sealed class CudaHostMemoryOptionsValidator : IValidateOptions<CudaHostMemoryOptions>
{
    public ValidateOptionsResult Validate(string? name, CudaHostMemoryOptions options)
    {
        var errors = new List<string>();
        options.Validate(errors);
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors.Select(error => $"CUDA host memory: {error}"));
    }
}
