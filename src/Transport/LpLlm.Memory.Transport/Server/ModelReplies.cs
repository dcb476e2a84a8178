using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Writes what the model store answers as messages.</summary>
internal static class ModelReplies
{
    /// <summary>The state of a model that is in memory.</summary>
    public const string Loaded = "loaded";

    /// <summary>Tensors from that one on, as many as a message has room for; at least one, if there is one, so that who asks on comes to an end.</summary>
    public static IEnumerable<ModelTensor> Tensors(IReadOnlyList<TensorInfo> tensors, int first, int maxMessageBytes) =>
        MessageRoom.Take(tensors.Skip(first).Select(Tensor), maxMessageBytes, least: 1);

    public static ListModelsReply List(IReadOnlyList<Models.ModelSummary> models, int maxMessageBytes)
    {
        var shown = MessageRoom.Take(models.Select(Summary), maxMessageBytes);
        return new ListModelsReply { Models = { shown }, Omitted = models.Count - shown.Count };
    }

    public static ModelSummary Summary(Models.ModelSummary model) => new()
    {
        Model = model.Model,
        State = model.State,
        LengthBytes = model.LengthBytes,
        LoadedBytes = model.LoadedBytes,
        UseCount = model.UseCount,
        LoadMs = model.LoadTime?.TotalMilliseconds ?? 0,
        Failure = model.Failure,
    };

    private static ModelTensor Tensor(TensorInfo tensor)
    {
        var message = new ModelTensor
        {
            Name = tensor.Name,
            OffsetBytes = tensor.OffsetBytes,
            LengthBytes = tensor.LengthBytes,
            ElementType = tensor.ElementType,
            StorageOffset = tensor.StorageOffset,
        };
        message.Shape.AddRange(tensor.Shape);
        message.Strides.AddRange(tensor.Strides);
        return message;
    }
}
