namespace LpLlm.Memory.Attention.Tests;

public class HostNumericsTests : NumericsTests;
