namespace LpLlm.Memory.Attention.Tests;

public class HostSequenceModelTests : SequenceModelTests;
