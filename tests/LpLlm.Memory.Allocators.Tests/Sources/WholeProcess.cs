namespace LpLlm.Memory.Tests.Sources;

/// <summary>Tests that read what the kernel says of the whole process: nothing else may map or lock memory meanwhile.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class WholeProcess
{
    public const string Name = "whole process";
}
