using System.Globalization;

namespace LpLlm.Memory.Tests.Sources;

/// <summary>What the kernel says of the mapping that an address of this process is in.</summary>
internal sealed record MappedRange(string Header, IReadOnlyDictionary<string, string> Fields)
{
    public long KernelPageBytes => ReadBytes("KernelPageSize");

    public IEnumerable<string> Flags => Fields["VmFlags"].Split(' ', StringSplitOptions.RemoveEmptyEntries);

    public static MappedRange? Find(nint address)
    {
        string? header = null;
        var fields = new Dictionary<string, string>();
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            if (!line.Split(' ')[0].EndsWith(':'))
            {
                if (header is not null)
                {
                    break;
                }

                var ends = line.Split(' ')[0].Split('-').Select(end => nint.Parse(end, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToList();
                header = address >= ends[0] && address < ends[1] ? line : null;
            }
            else if (header is not null)
            {
                var at = line.IndexOf(':', StringComparison.Ordinal);
                fields[line[..at]] = line[(at + 1)..].Trim();
            }
        }

        return header is null ? null : new MappedRange(header, fields);
    }

    public long ReadBytes(string field) => long.Parse(Fields[field].Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
}
