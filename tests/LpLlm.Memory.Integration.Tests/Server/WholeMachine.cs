namespace LpLlm.Memory.Tests.Server;

/// <summary>Tests that reserve huge pages: every other test's memory would come out of them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class WholeMachine
{
    public const string Name = "whole machine";
}
