using System.Runtime.InteropServices;
using LpLlm.Memory.Sources;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Sources;

/// <summary>Shared memory where populating makes small pages, as kernels ship: it is merged to huge ones, or a log line says why not.</summary>
[Collection(WholeProcess.Name)]
public sealed partial class MergedPagesTests : IDisposable
{
    private const long MiB = 1 << 20;
    private const int DisableHugePages = 41;

    private readonly Folders _sys = new Folders().Write("kernel/mm/transparent_hugepage/shmem_enabled", "always within_size advise [never] deny force\n");
    private readonly FakePinner _pinner = new();
    private readonly CollectingLogger _logger = new();

    public void Dispose() => _sys.Dispose();

    [Theory]
    [InlineData(70 * MiB, 1L << 30)] // two chunks, the second one short
    [InlineData(6 * MiB, 2 * MiB)]
    public async Task Reserve_IsOnHugePagesForEveryMapping_UnlessTheLogSaysWhyNot(long lengthBytes, long pieceBytes)
    {
        using var region = await ReserveAsync(new HostMemorySettings { PieceBytes = pieceBytes }, lengthBytes).DefaultTimeout();
        using var second = await CreateSut(new HostMemorySettings()).AdoptAsync(Duplicate(region), MemoryFileStatus.Read(region.Descriptor), default).DefaultTimeout();
        var refused = _logger.Entries.Any(entry => entry.Message.Contains("would not merge", StringComparison.Ordinal)); // memory in pieces

        foreach (var address in new[] { region.Address, second.Address })
        {
            Fill(address, lengthBytes);
            (MappedRange.Find(address)!.ReadBytes("ShmemPmdMapped") == lengthBytes).Should().Be(!refused);
        }

        _pinner.Pinned.Values.Sum().Should().Be(2 * lengthBytes);
        _logger.Entries.Last().Message.Should().Contain(refused ? "pages of 4 KiB" : "huge pages, merged");
    }

    [Fact]
    public async Task Reserve_IsZeroedAndWhole()
    {
        using var region = await ReserveAsync(new HostMemorySettings(), 6 * MiB).DefaultTimeout();

        IsZero(region.Address, region.LengthBytes).Should().BeTrue();
        MemoryFileStatus.Read(region.Descriptor).AllocatedBytes.Should().Be(6 * MiB);
    }

    [Fact]
    public async Task Reserve_HugePagesNever_MergesNothing()
    {
        using var region = await ReserveAsync(new HostMemorySettings { HugePages = HugePageMode.Never }, 4 * MiB).DefaultTimeout();

        MappedRange.Find(region.Address)!.ReadBytes("ShmemPmdMapped").Should().Be(0);
    }

    [Fact]
    public async Task Reserve_KernelRefuses_TakesSmallPagesAndSaysSoOnce()
    {
        Control(DisableHugePages, 1, 0, 0, 0).Should().Be(0);
        try
        {
            var sut = CreateSut(new HostMemorySettings());
            using var first = (SharedMemoryRegion)await sut.ReserveAsync(70 * MiB).DefaultTimeout();
            using var second = (SharedMemoryRegion)await sut.ReserveAsync(4 * MiB).DefaultTimeout();

            MappedRange.Find(first.Address)!.ReadBytes("Rss").Should().Be(70 * MiB, "every page is there");
            MappedRange.Find(first.Address)!.ReadBytes("ShmemPmdMapped").Should().Be(0);
            _logger.Entries.Where(entry => entry.Message.Contains("would not merge", StringComparison.Ordinal)).Should().ContainSingle()
                .Which.Message.Should().Contain("EINVAL");
            _logger.Entries.Count(entry => entry.Message.Contains("is on pages of 4 KiB", StringComparison.Ordinal)).Should().Be(2);
        }
        finally
        {
            Control(DisableHugePages, 0, 0, 0, 0).Should().Be(0);
        }
    }

    [Fact]
    public async Task Adopt_MergesWhatItsMakerCouldNot_AndChangesNoByte()
    {
        using var made = await ReserveAsync(new HostMemorySettings { HugePages = HugePageMode.Never }, 4 * MiB).DefaultTimeout();
        Fill(made.Address, made.LengthBytes);

        using var adopted = await CreateSut(new HostMemorySettings())
            .AdoptAsync(Duplicate(made), MemoryFileStatus.Read(made.Descriptor), default).DefaultTimeout();

        IsFilled(adopted.Address, adopted.LengthBytes).Should().BeTrue();
        var refused = _logger.Entries.Any(entry => entry.Message.Contains("would not merge", StringComparison.Ordinal));
        (MappedRange.Find(adopted.Address)!.ReadBytes("ShmemPmdMapped") == 4 * MiB).Should().Be(!refused);
    }

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int Control(int option, nint first, nint second, nint third, nint fourth);

    private static unsafe void Fill(nint address, long lengthBytes) => new Span<byte>((void*)address, (int)lengthBytes).Fill(0x5A);

    private static unsafe bool IsFilled(nint address, long lengthBytes) => !new Span<byte>((void*)address, (int)lengthBytes).ContainsAnyExcept((byte)0x5A);

    private static unsafe bool IsZero(nint address, long lengthBytes) => !new Span<byte>((void*)address, (int)lengthBytes).ContainsAnyExcept((byte)0);

    private static SafeFileHandle Duplicate(SharedMemoryRegion region) =>
        File.OpenHandle($"/proc/self/fd/{region.Descriptor.DangerousGetHandle()}", FileMode.Open, FileAccess.ReadWrite);

    private HostMemorySource CreateSut(HostMemorySettings settings) => new(settings with { Shared = true }, _pinner, _logger, sysPath: _sys.Root);

    private async Task<SharedMemoryRegion> ReserveAsync(HostMemorySettings settings, long lengthBytes) =>
        (SharedMemoryRegion)await CreateSut(settings).ReserveAsync(lengthBytes);
}
