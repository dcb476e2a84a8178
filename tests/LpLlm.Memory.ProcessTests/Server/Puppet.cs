namespace LpLlm.Memory.Tests.Server;

/// <summary>A client process that does what a test tells it (see <c>PuppetProgram</c>).</summary>
internal sealed class Puppet(ChildProcess process) : IDisposable
{
    public ChildProcess Process => process;

    public static Puppet Start() => new(ChildProcess.Start("puppet"));

    /// <summary>A puppet with a session <c>s</c> that has said hello.</summary>
    public static async Task<Puppet> StartSessionAsync(Daemon daemon)
    {
        var puppet = Start();
        try
        {
            await puppet.AskAsync($"s session {daemon.EndPoint}", "s connect", "s hello");
            return puppet;
        }
        catch
        {
            puppet.Dispose();
            throw;
        }
    }

    /// <summary>Gives commands at once, and reads their answers.</summary>
    /// <returns>What the last command answered.</returns>
    /// <exception cref="PuppetException">A command failed.</exception>
    public async Task<string> AskAsync(params string[] commands)
    {
        await SendAsync(commands);
        var answer = "";
        foreach (var command in commands)
        {
            answer = await ReadAnswerAsync(command);
        }

        return answer;
    }

    /// <summary>Gives a command that may fail with one type of exception.</summary>
    public async Task<bool> SucceedsAsync(string command, string failure)
    {
        try
        {
            await AskAsync(command);
            return true;
        }
        catch (PuppetException expected) when (expected.Type == failure)
        {
            return false;
        }
    }

    public Task SendAsync(params string[] commands) => process.WriteAsync(string.Concat(commands.Select(command => command + "\n")));

    public async Task<string> ReadAnswerAsync(string command)
    {
        var parts = (await process.ReadLineAsync()).Split(' ', 4);
        return parts[0] == "ok" ? string.Join(' ', parts[1..]) : throw new PuppetException(command, parts[1], parts[2], parts[3]);
    }

    public void Dispose() => process.Dispose();
}
