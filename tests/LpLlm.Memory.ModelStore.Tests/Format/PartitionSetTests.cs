namespace LpLlm.Memory.Models;

public sealed class PartitionSetTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public void Find_SeveralFiles_AreCountedOneBehindTheOther()
    {
        var model = _folder.Model("m", ("tensor.data_0", new byte[8]), ("tensor.data_1", new byte[16]), ("tensor.data_2", new byte[3]));

        var set = PartitionSet.Find(model);

        set.LengthBytes.Should().Be(27);
        set.Partitions.Should().Equal(
            new Partition(model.PartitionPath(0), 0, 8), new Partition(model.PartitionPath(1), 8, 16), new Partition(model.PartitionPath(2), 24, 3));
        set.Find(8, 16)!.Path.Should().Be(model.PartitionPath(1));
        set.Find(4, 8).Should().BeNull("it would lie in two files");
        set.Find(27, 0).Should().NotBeNull();
        set.Find(28, 0).Should().BeNull();
    }

    [Fact]
    public void Find_LinkToAnotherDisk_HasTheLengthOfItsTarget()
    {
        var model = _folder.Model("m", ("elsewhere", new byte[100]));
        File.CreateSymbolicLink(model.PartitionPath(0), model.PathOf("elsewhere"));

        PartitionSet.Find(model).LengthBytes.Should().Be(100);
    }

    [Fact]
    public void Find_NoFolder_IsNotFound() => FaultOf(new ModelFolder("m", Path.Combine(_folder.Root, "m"))).Should().Be(ModelStoreFault.NotFound);

    [Fact]
    public void Find_NoData_IsNotFound() => FaultOf(_folder.Model("m", ("config.json", "{}"u8.ToArray()))).Should().Be(ModelStoreFault.NotFound);

    [Fact]
    public void Find_F1_EmptyData_AreDamaged() => FaultOf(_folder.Model("m", ("tensor.data_0", []))).Should().Be(ModelStoreFault.Damaged);

    [Fact]
    public void Find_MissingFileBetweenOthers_IsDamagedByItsName()
    {
        var model = _folder.Model("m", ("tensor.data_0", new byte[8]), ("tensor.data_2", new byte[8]));

        FluentActions.Invoking(() => PartitionSet.Find(model)).Should().Throw<ModelStoreException>()
            .WithMessage("*tensor.data_1*does not exist*").Which.Fault.Should().Be(ModelStoreFault.Damaged);
    }

    public void Dispose() => _folder.Dispose();

    private static ModelStoreFault FaultOf(ModelFolder model) =>
        FluentActions.Invoking(() => PartitionSet.Find(model)).Should().Throw<ModelStoreException>().WithMessage("Model 'm': *").Which.Fault;
}
