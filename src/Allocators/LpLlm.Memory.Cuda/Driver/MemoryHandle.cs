using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Cuda;

/// <summary>CUipcMemHandle, which the driver takes by value.</summary>
[InlineArray(LengthBytes)]
internal struct MemoryHandle
{
    public const int LengthBytes = 64;

    private byte _first;
}
