namespace LpLlm.Memory.Transport.Engine;

/// <summary>A client as the engine knows it. Its state is the engine's; the properties never change.</summary>
internal sealed class PoolSession(Token token, SessionOptions options)
{
    public Token Token { get; } = token;

    public SessionOptions Options { get; } = options;
}
