namespace LpLlm.Memory.Transport;

internal enum SimulatedOperation
{
    Create,
    Adopt,
    Clear,
    Discard,
}
