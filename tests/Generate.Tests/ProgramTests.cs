using System.Diagnostics;
using System.Globalization;
using System.Text;
using LpLlm.Memory.Samples.Generate.Tests.Support;

namespace LpLlm.Memory.Samples.Generate.Tests;

/// <summary>The program as its user meets it: a process with arguments, output and an exit code.</summary>
public sealed class ProgramTests
{
    [Fact]
    public async Task Raw_KnownPrompt_WritesExactlyTheContinuation()
    {
        var reference = Reference.Instance.Cases[0];

        var run = await ProgramRun.OfAsync("--raw", "--prompt", reference.Prompt, "--max-new-tokens", "64");

        run.ExitCode.Should().Be(0, run.Error);
        run.Output.Should().Equal(reference.Continuation);
    }

    [Fact]
    public async Task Raw_BFloat16Cache_Generates()
    {
        var run = await ProgramRun.OfAsync("--raw", "--kv", "bfloat16", "--max-new-tokens", "64");

        run.ExitCode.Should().Be(0, run.Error);
        run.Output.Should().HaveCount(64, "rounded keys and values may change a byte, but not their number");
        run.Text.Should().StartWith("of the ");
    }

    [Theory]
    [InlineData("float32", 1e-4)]
    [InlineData("bfloat16", 5e-3)]
    public async Task Score_ReferenceText_PrintsOnlyTheNumber(string kv, double tolerance)
    {
        using var file = new TemporaryFile(Encoding.UTF8.GetBytes(Reference.Instance.EvalText[0]));

        var run = await ProgramRun.OfAsync("--score", file.Path, "--kv", kv);

        run.ExitCode.Should().Be(0, run.Error);
        run.Text.Should().MatchRegex(@"\A[0-9]+\.[0-9]{5}\n\z");
        double.Parse(run.Text, CultureInfo.InvariantCulture).Should().BeApproximately(Reference.Instance.EvalNll[0], tolerance);
    }

    [Fact]
    public async Task NoArguments_ShowsTextTimesAndPool()
    {
        var run = await ProgramRun.OfAsync();

        run.ExitCode.Should().Be(0, run.Error);
        run.Text.Should().StartWith("In the beginning of the world, and the house of the LORD")
            .And.Contain("Load time").And.Contain("Time to first token").And.Contain("128 tokens, ").And.Contain("tokens per second")
            .And.Contain("Pool 'default'").And.MatchRegex(@"Page-locked +│ +(yes|no: )").And.MatchRegex(@"Capacity +│ +256 MiB");
    }

    [Theory]
    [InlineData("*'--nonsense'*", "--nonsense")]
    [InlineData("*float16*float32*", "--kv", "float16")]
    [InlineData("*--max-new-tokens is '0'*from 1 to*", "--max-new-tokens", "0")]
    [InlineData("*--max-new-tokens is 'x'*from 1 to*", "--max-new-tokens", "x")]
    [InlineData("*--prompt is empty*", "--prompt", "")]
    [InlineData("*--score generates nothing*--raw*", "--score", "file", "--raw")]
    public async Task UsageError_Ends2(string message, params string[] arguments)
    {
        var run = await ProgramRun.OfAsync(arguments);

        run.ExitCode.Should().Be(2);
        run.Output.Should().BeEmpty();
        run.Error.Should().Match(message).And.Contain("--help");
    }

    [Theory]
    [InlineData("Server")]
    [InlineData("local")]
    [InlineData("Hybrid")]
    public async Task Run_EveryKindOfPool_GeneratesTheSame(string kind)
    {
        var reference = Reference.Instance.Cases[0];

        var run = await ProgramRun.OfAsync("--pool", kind, "--raw", "--prompt", reference.Prompt, "--max-new-tokens", "64");

        run.ExitCode.Should().Be(0, run.Error);
        run.Output.Should().Equal(reference.Continuation);
    }

    [Fact]
    public async Task Run_EndPointWhereNoServerIs_Ends1AndNamesIt()
    {
        var run = await ProgramRun.OfAsync("--endpoint", "pipe:///nowhere/pool.sock");

        run.ExitCode.Should().Be(1);
        run.Output.Should().BeEmpty();
        run.Error.Should().Contain("pipe:///nowhere/pool.sock").And.NotContain("   at ");
    }

    [Theory]
    [InlineData("*'Nonsense'*kinds of pool are Local*", "--pool", "Nonsense")]
    [InlineData("*2000 new ones exceed the model's 1024 positions*", "--max-new-tokens", "2000")]
    [InlineData("*/nowhere/config.json: does not exist*", "--model", "/nowhere")]
    [InlineData("*'/nowhere/text'*", "--score", "/nowhere/text")]
    public async Task FailedRun_Ends1WithoutAStackTrace(string message, params string[] arguments)
    {
        var run = await ProgramRun.OfAsync(arguments);

        run.ExitCode.Should().Be(1);
        run.Output.Should().BeEmpty();
        run.Error.Should().Match(message).And.NotContain("   at ");
    }

    [Theory]
    [InlineData("", "*0 bytes; 2 to 1024*")]
    [InlineData("a", "*1 bytes; 2 to 1024*")]
    public async Task Score_TooShort_Ends1(string text, string message)
    {
        using var file = new TemporaryFile(Encoding.UTF8.GetBytes(text));

        var run = await ProgramRun.OfAsync("--score", file.Path);

        run.ExitCode.Should().Be(1);
        run.Output.Should().BeEmpty();
        run.Error.Should().Match(message);
    }

    [Fact]
    public async Task Pool_Override_WinsOverConfiguration()
    {
        var environment = new Dictionary<string, string> { ["LpLlm__Memory__Kind"] = "Nonsense" };

        var run = await ProgramRun.StartAsync(
            ProgramRun.CommandLine(AppContext.BaseDirectory, "--pool", "local", "--raw", "--max-new-tokens", "2"), environment);

        run.ExitCode.Should().Be(0, run.Error);
        run.Text.Should().Be("of");
    }

    [Fact]
    public async Task WrongOptions_AreAllNamed()
    {
        var environment = new Dictionary<string, string>
        {
            ["LpLlm__Memory__Server__CapacityBytes"] = "much",
            ["LpLlm__Attention__Typo"] = "1",
        };

        var run = await ProgramRun.StartAsync(ProgramRun.CommandLine(AppContext.BaseDirectory), environment);

        run.ExitCode.Should().Be(1);
        run.Error.Should().Contain("CapacityBytes = 'much'").And.Contain("LpLlm:Attention:Typo").And.NotContain("   at ");
    }

    [SkippableFact]
    public async Task CtrlC_EndsTheRun()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "The signal is sent with Linux tools.");

        // A shell's background job ignores SIGINT, and so would its children: env sets it back.
        var run = await ProgramRun.StartAsync(
            ["env", "--default-signal=INT", .. ProgramRun.CommandLine(AppContext.BaseDirectory, "--max-new-tokens", "1007")],
            onFirstByte: id => Process.Start("kill", ["-INT", $"{id}"]).Dispose());

        run.ExitCode.Should().Be(130);
        run.Error.Should().EndWith("Cancelled.\n").And.NotContain("   at ");
        run.Text.Should().StartWith("In the beginning o").And.NotContain("Load time");
    }
}
