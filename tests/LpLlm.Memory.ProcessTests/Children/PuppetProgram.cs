using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Tests.Children;

/// <summary>
/// Does what its standard input says, and ends with it. A command is a line, <c>NAME VERB ARGUMENTS</c>; so is its answer, <c>ok …</c> or
/// <c>error TYPE CODE TEXT</c>. The names are those of things that the commands <c>session</c>, <c>source</c>, <c>pool</c> and <c>model</c> make.
/// </summary>
internal static class PuppetProgram
{
    public static async Task RunAsync()
    {
        var actors = new Dictionary<string, Func<string[], Task<string>>>();
        while (Console.In.ReadLine() is { } line)
        {
            Console.WriteLine(await AnswerAsync(actors, line.Split(' ', StringSplitOptions.RemoveEmptyEntries)));
        }
    }

    private static async Task<string> AnswerAsync(Dictionary<string, Func<string[], Task<string>>> actors, string[] command)
    {
        try
        {
            return "ok " + (command switch
            {
                [var name, "session", var endPoint] => Add(actors, name, new SessionPuppet(new Uri(endPoint)).DoAsync),
                [var name, "source", .. var arguments] => Add(actors, name, new SourcePuppet(arguments).DoAsync),
                [var name, "stopping", var endPoint, var capacity, var point, var method] =>
                    Add(actors, name, new SourcePuppet(endPoint, capacity, new StoppingTransport(point, Enum.Parse<PoolMethod>(method))).DoAsync),
                [var name, "pool", .. var arguments] => Add(actors, name, (await PoolPuppet.OpenAsync(arguments)).DoAsync),
                [var name, "model", var endPoint] => Add(actors, name, new ModelPuppet(endPoint).DoAsync),
                ["crowd", .. var arguments] => await Crowd.RunAsync(arguments),
                [var name, .. var rest] => await actors[name](rest),
                _ => throw new ArgumentException("An empty command."),
            });
        }
        catch (Exception failure)
        {
            var code = failure is PoolFaultException fault ? fault.Code.ToString() : "-";
            return $"error {failure.GetType().Name} {code} {failure.Message.ReplaceLineEndings(" ")}";
        }
    }

    private static string Add(Dictionary<string, Func<string[], Task<string>>> actors, string name, Func<string[], Task<string>> actor)
    {
        actors.Add(name, actor);
        return name;
    }
}
