using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Writes what the model store answers as messages.</summary>
internal static class ModelReplies
{
    /// <summary>The state of a model that is in memory.</summary>
    public const string Loaded = "loaded";

    /// <summary>What an index or a list may take of a message of 4 MiB, the default limit.</summary>
    private const int MaxBytes = 3 << 20;

    /// <summary>Tensors from that one on, as many as a message has room for; at least one, if there is one.</summary>
    public static IEnumerable<ModelTensor> Tensors(IReadOnlyList<TensorInfo> tensors, int first)
    {
        var room = MaxBytes;
        for (var i = first; i < tensors.Count; i++)
        {
            var tensor = Tensor(tensors[i]);
            room -= tensor.CalculateSize() + 4;
            if (room < 0 && i > first)
            {
                yield break;
            }

            yield return tensor;
        }
    }

    public static ListModelsReply List(IReadOnlyList<Models.ModelSummary> models)
    {
        var reply = new ListModelsReply();
        var room = MaxBytes;
        foreach (var model in models)
        {
            var summary = Summary(model);
            room -= summary.CalculateSize() + 4;
            if (room < 0)
            {
                reply.Omitted = models.Count - reply.Models.Count;
                break;
            }

            reply.Models.Add(summary);
        }

        return reply;
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
