namespace LpLlm.Memory.Transport.Client;

public class AddressRangeTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public void Take_HolesAddUpToEnoughAndNoneIsLongEnough_GetsOtherAddresses()
    {
        using var range = new LinuxAddressRange(8 * MiB);
        var pieces = Enumerable.Range(0, 4).Select(_ => range.Take(2 * MiB)).ToList();
        range.Return(pieces[0], 2 * MiB);
        range.Return(pieces[2], 2 * MiB);

        var longer = range.Take(4 * MiB);

        (longer % (nint)(2 * MiB)).Should().Be(0);
        foreach (var piece in new[] { pieces[1], pieces[3] })
        {
            (piece - longer).Should().NotBeInRange((nint)(-2 * MiB) + 1, (nint)(4 * MiB) - 1);
        }

        range.Invoking(full => full.Take(2 * MiB)).Should().Throw<MemorySourceException>().Which.LimitBytes.Should().Be(8 * MiB);
        range.Return(longer, 4 * MiB);
        range.Take(4 * MiB).Should().Be(longer, "what was reserved is used again");
    }

    [Fact]
    public void Take_MoreThanTheCapacity_IsRefused_AndCostsNothing()
    {
        using var range = new LinuxAddressRange(4 * MiB);

        range.Invoking(small => small.Take(6 * MiB)).Should().Throw<MemorySourceException>();

        range.Take(4 * MiB);
    }
}
