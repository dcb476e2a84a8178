using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Configuration.Tests;

public class SizedConfigurationTests
{
    [Theory]
    [InlineData("2GiB", 2L << 30)]
    [InlineData("512MB", 512L << 20)]
    [InlineData("512 mb", 512L << 20)]
    [InlineData("4096", 4096L)]
    public void Bind_SizeText_GivesBytes(string text, long bytes)
    {
        var options = Bind(("CapacityBytes", text), ("limitbytes", text));

        options.CapacityBytes.Should().Be(bytes);
        options.LimitBytes.Should().Be(bytes);
    }

    [Fact]
    public void Bind_SizeTextForAShortLength_GivesBytes()
    {
        Bind(("messagebytes", "64KiB")).MessageBytes.Should().Be(64 << 10);
        Bind(("MessageBytes", "2147483647")).MessageBytes.Should().Be(int.MaxValue);
    }

    [Fact]
    public void Bind_EverySupportedShape_IsBound()
    {
        var options = Bind(
            ("Count", "5"), ("Enabled", "true"), ("Deadline", "00:00:02"), ("Day", "friday"), ("Label", "2GiB"),
            ("Inner:CapacityBytes", "1KiB"), ("Inner:Parts:0:LimitBytes", "3MB"), ("Parts:0:CapacityBytes", "1MiB"),
            ("Parts:1:Count", "9"), ("Classes:small", "64KiB"), ("Sizes:0", "1KB"), ("Sizes:1", "17"));

        options.Should().BeEquivalentTo(new
        {
            CapacityBytes = 7,
            Count = 5,
            Enabled = true,
            Deadline = TimeSpan.FromSeconds(2),
            Day = DayOfWeek.Friday,
            Label = "2GiB",
            Classes = new Dictionary<string, long> { ["small"] = 65_536 },
        });
        options.Sizes.Should().Equal(1024, 17);
        options.Inner!.CapacityBytes.Should().Be(1024);
        options.Inner.Parts.Should().ContainSingle().Which.LimitBytes.Should().Be(3 << 20);
        options.Parts.Select(part => (part.CapacityBytes, part.Count)).Should().Equal((1 << 20, 3), (7, 9));
    }

    [Fact]
    public void Bind_EmptyOrNullValues_KeepDefaults()
    {
        var options = Bind(("LimitBytes", ""), ("Deadline", null), ("Inner", null));

        options.Should().BeEquivalentTo(new SizedOptions());
    }

    [Fact]
    public void Bind_SeveralProblems_AreReportedTogetherByFullPath()
    {
        var act = () => Bind(
            ("CapacityBytes", "two"), ("LimitBytes", "-1"), ("Count", "many"), ("Enabled", "perhaps"), ("Deadline", "soon"),
            ("Day", "Someday"), ("Capacity", "1"), ("Inner:Counts", "1"), ("Inner:Count", "99999999999"), ("Parts:0:LimitBytes", "9999999PiB"),
            ("Parts:1", "x"), ("Classes:small", "tiny"), ("Label:Sub", "x"), ("MessageBytes", "2GiB"));

        act.Should().Throw<OptionsValidationException>().Which.Failures.Should().SatisfyRespectively(
            Is("A:B:Capacity is not an option; the options here are CapacityBytes, Classes, Count,"),
            Is("A:B:CapacityBytes = 'two' is not valid; a size such as 2GiB, 512MB or 4096 is expected."),
            Is("A:B:Classes:small = 'tiny' is not valid; a size such as"),
            Is("A:B:Count = 'many' is not valid; a whole number from"),
            Is("A:B:Day = 'Someday' is not valid; one of Sunday, Monday"),
            Is("A:B:Deadline = 'soon' is not valid; a time such as 00:00:30"),
            Is("A:B:Enabled = 'perhaps' is not valid; true or false"),
            Is("A:B:Inner:Count = '99999999999' is not valid; a whole number"),
            Is("A:B:Inner:Counts is not an option"),
            Is("A:B:Label is a section; a text is expected."),
            Is("A:B:LimitBytes = '-1' is not valid; a size"),
            Is("A:B:MessageBytes = '2GiB' is not valid; a size such as 64KiB or 4096, below 2GiB, is expected."),
            Is("A:B:Parts:0:LimitBytes = '9999999PiB' is not valid; a size"),
            Is("A:B:Parts:1 = 'x' is a single value; a section is expected."));
    }

    [Fact]
    public void Bind_Problem_LeavesOptionsUntouched()
    {
        var options = new SizedOptions();

        var act = () => SizedConfiguration.Bind(Section(("CapacityBytes", "1GiB"), ("Count", "x")), options);

        act.Should().Throw<OptionsValidationException>();
        options.CapacityBytes.Should().Be(7);
    }

    [Fact]
    public void Bind_RootConfiguration_IsBound()
    {
        var options = new SizedOptions();

        SizedConfiguration.Bind(new ConfigurationBuilder().AddInMemoryCollection([new("CapacityBytes", "1GiB")]).Build(), options);

        options.CapacityBytes.Should().Be(1 << 30);
    }

    private static Action<string> Is(string start) => message => message.Should().StartWith(start);

    private static SizedOptions Bind(params (string Key, string? Value)[] values)
    {
        var options = new SizedOptions();
        SizedConfiguration.Bind(Section(values), options);
        return options;
    }

    private static IConfigurationSection Section(params (string Key, string? Value)[] values) => new ConfigurationBuilder()
        .AddInMemoryCollection(values.Select(value => KeyValuePair.Create($"A:B:{value.Key}", value.Value)))
        .Build().GetSection("A:B");
}
