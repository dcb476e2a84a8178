using System.Numerics.Tensors;

namespace LpLlm.Memory.Tests;

public sealed class PinnedTensorTests : IDisposable
{
    private readonly FakePool _pool = new();

    public void Dispose() => _pool.LiveLeases.Should().Be(0, "every lease is returned");

    [Fact]
    public void Rent_C7_BytesFollowTheTensorsOwnType()
    {
        CheckBytes<float>(4);
        CheckBytes<Half>(2);
        CheckBytes<BFloat16>(2);
        CheckBytes<double>(8);
        CheckBytes<sbyte>(1);
        CheckBytes<ushort>(2);
        CheckBytes<int>(4);
        CheckBytes<long>(8);
    }

    [Fact]
    public void CopyFrom_FlatAndStrided_ArriveInOrder()
    {
        float[] data = [.. Enumerable.Range(0, 24).Select(i => (float)i)];
        using var flat = _pool.RentTensor<float>(4, 6);
        flat.CopyFrom(data);
        using var part = _pool.RentTensor<float>(4, 2);

        part.CopyFrom(new ReadOnlyTensorSpan<float>(data, [4, 6]).Slice(0..4, 1..3));

        flat.AsTensorSpan()[2, 3].Should().Be(15);
        part.AsSpan().ToArray().Should().Equal(1, 2, 7, 8, 13, 14, 19, 20);
    }

    [Fact]
    public void Reshape_SharesTheBytes()
    {
        using var tensor = _pool.RentTensor<int>(2, 6);
        tensor.CopyFrom(Enumerable.Range(0, 12).ToArray());

        var reshaped = tensor.Reshape(3, 4);
        reshaped.AsTensorSpan()[1, 1] = 99;

        tensor.AsSpan()[5].Should().Be(99);
        reshaped.Shape.ToArray().Should().Equal(3, 4);
        tensor.Invoking(t => t.Reshape(5, 2)).Should().Throw<ArgumentException>()
            .Which.Message.Should().Contain("[5, 2] has 10").And.Contain("[2, 6] has 12");
    }

    [Fact]
    public void RentLike_HasShapeAndTypeOfTheOther()
    {
        using var tensor = _pool.RentTensor<Half>(3, 5, 7);
        using var like = _pool.RentLike(tensor);
        using var spanLike = _pool.RentLike<long>(new ReadOnlyTensorSpan<long>(new long[6], [2, 3]));

        like.Shape.ToArray().Should().Equal(3, 5, 7);
        like.Lease.LengthBytes.Should().Be(210);
        spanLike.Lease.LengthBytes.Should().Be(48);
    }

    [Fact]
    public void Rent_NoDimensions_IsAScalar()
    {
        using var scalar = _pool.RentTensor<double>();

        scalar.Count.Should().Be(1);
        scalar.Lease.LengthBytes.Should().Be(8);
    }

    [Fact]
    public void Rent_BadShapes_ThrowWithoutRenting()
    {
        _pool.Invoking(p => p.RentTensor<float>(2, 0)).Should().Throw<ArgumentException>().Which.Message.Should().Contain("[2, 0]");
        _pool.Invoking(p => p.RentTensor<float>(-1)).Should().Throw<ArgumentException>();
        _pool.Invoking(p => p.RentTensor<float>(nint.MaxValue, 2)).Should().Throw<ArgumentException>();
        _pool.Invoking(p => p.RentTensor<float>(nint.MaxValue / 2)).Should().Throw<ArgumentException>();
    }

    [Fact]
    public void CopyFrom_WrongShape_ThrowsAndWritesNothing()
    {
        using var tensor = _pool.RentTensor<byte>(2, 3);
        tensor.AsSpan().Fill(7);

        tensor.Invoking(t => t.CopyFrom(new byte[5])).Should().Throw<ArgumentException>().Which.Message.Should().Contain("5 elements");
        tensor.Invoking(t => t.CopyFrom(new ReadOnlyTensorSpan<byte>(new byte[6], [3, 2]))).Should().Throw<ArgumentException>();

        tensor.AsSpan().ToArray().Should().AllBeEquivalentTo((byte)7);
    }

    [Fact]
    public void Dispose_AnyCopy_ReturnsTheLeaseOnce()
    {
        var tensor = _pool.RentTensor<float>(4);
        var copy = tensor.Reshape(2, 2);
        copy.Dispose();

        tensor.Dispose();

        tensor.Invoking(t => t.AsSpan().Length).Should().Throw<ObjectDisposedException>();
        default(PinnedTensor<float>).Dispose();
        FluentActions.Invoking(() => default(PinnedTensor<float>).Lease).Should().Throw<InvalidOperationException>();
    }

    [Fact]
    public void ReturnAfter_HandsTheFenceToTheOwner()
    {
        var fence = new VirtualFence();

        _pool.Rent(8).ReturnAfter(fence);

        _pool.LastFence.Should().BeSameAs(fence);
    }

    [Fact]
    public void Lease_AsOtherTypes_ChecksTheLength()
    {
        using var lease = _pool.Rent(10);

        lease.Memory.Length.Should().Be(10);
        lease.AsSpan<short>().Length.Should().Be(5);
        lease.Invoking(l => l.AsSpan<int>().Length).Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("10 B");
        using var pin = lease.Memory.Pin();
        lease.AsSpan<byte>()[3] = 9;
        lease.AsMemory<byte>().Span[3].Should().Be(9);
    }

    private void CheckBytes<T>(int elementBytes)
        where T : unmanaged
    {
        using var tensor = _pool.RentTensor<T>(3, 5);
        _pool.LastRentBytes.Should().Be(15 * elementBytes);
        tensor.AsSpan().Length.Should().Be(15);
    }
}
