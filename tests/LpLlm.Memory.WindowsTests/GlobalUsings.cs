global using FluentAssertions;
global using LpLlm.Memory.TestKit;
global using Xunit;
