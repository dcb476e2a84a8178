namespace LpLlm.Memory.Attention.Tests;

public class HostAttentionTests : AttentionTests;
