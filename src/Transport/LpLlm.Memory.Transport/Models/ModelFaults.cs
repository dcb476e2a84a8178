using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Models;

/// <summary>Failures of models, both ways: what the server says, and what the client makes of it.</summary>
internal static class ModelFaults
{
    public static PoolFaultException ToFault(ModelStoreException failure) => FaultCodec.Fault(
        failure.Fault switch
        {
            ModelStoreFault.NotFound => PoolFaultCode.NotFound,
            ModelStoreFault.NoRoom => PoolFaultCode.ResourceExhausted,
            _ => PoolFaultCode.FailedPrecondition,
        },
        failure.Message,
        new ErrorData { ModelFault = failure.Fault.ToString() });

    /// <summary>The exception as the server's store threw it; null where the failure is another.</summary>
    public static ModelStoreException? ToException(PoolFaultException fault, string model)
    {
        if (!Enum.TryParse<ModelStoreFault>(FaultCodec.DataOf(fault).ModelFault, out var kind) || !Enum.IsDefined(kind))
        {
            return null;
        }

        // The exception puts the model's name in front itself.
        var name = $"Model '{model}': ";
        var problem = fault.Message.StartsWith(name, StringComparison.Ordinal) ? fault.Message[name.Length..] : fault.Message;
        return new ModelStoreException(kind, model, problem, fault);
    }
}
