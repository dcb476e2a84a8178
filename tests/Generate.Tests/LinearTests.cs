using LpLlm.Memory.Samples.Generate.Checkpoint;
using LpLlm.Memory.Samples.Generate.Numerics;
using LpLlm.Memory.Samples.Generate.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Samples.Generate.Tests;

/// <summary>The matrix product at lengths that are no multiple of a vector, of four tokens or of the threads.</summary>
public sealed class LinearTests(HostFixture fixture) : IClassFixture<HostFixture>
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 5, 7)]
    [InlineData(4, 16, 32)]
    [InlineData(6, 37, 51)]
    [InlineData(259, 71, 67)] // above the work that is shared between threads
    public void Multiply_AnySize_IsTheSumOfProducts(int tokenCount, int rows, int columns)
    {
        var random = new Random(20_26);
        using var tensor = fixture.Host.Services.GetRequiredService<IPinnedMemoryPool>().RentTensor<BFloat16>(rows, columns);
        foreach (ref var element in tensor.AsSpan())
        {
            element = (BFloat16)(float)(random.NextDouble() - 0.5);
        }

        var info = new TensorInfo("w", 0, tensor.Lease.LengthBytes, [rows, columns], [columns, 1], "torch.bfloat16");
        using var model = new ModelHandle("m", tensor.Lease.Address, tensor.Lease.LengthBytes, tensor.Lease.Capabilities, [info], tensor.Lease);
        var weight = new Weight(model, "w", [rows, columns]);

        var input = Array.ConvertAll(new float[tokenCount * columns], _ => (float)(random.NextDouble() - 0.5));
        var output = new float[tokenCount * rows];

        Linear.Multiply(input, tokenCount, weight, output);

        for (var i = 0; i < output.Length; i++)
        {
            var expected = 0.0;
            for (var column = 0; column < columns; column++)
            {
                expected += (double)input[(i / rows * columns) + column] * weight.AsSpan()[(i % rows * columns) + column];
            }

            output[i].Should().BeApproximately((float)expected, 1e-5f);
        }
    }
}
