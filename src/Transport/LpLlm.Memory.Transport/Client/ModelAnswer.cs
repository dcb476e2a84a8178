using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>An open model as the server described it: checked, with descriptors that belong to whoever has this.</summary>
internal sealed record ModelAnswer(ulong LeaseId, IReadOnlyList<HeldSegment> Segments, long LengthBytes, List<TensorInfo> Tensors, int TensorCount)
{
    /// <summary>Bytes of the segments.</summary>
    public long MappedBytes => Segments.Sum(segment => segment.LengthBytes);

    /// <exception cref="PoolProtocolException">It makes no sense.</exception>
    public static ModelAnswer From(OpenModelReply reply, PoolMessage message, Uri endPoint)
    {
        var segments = HeldSegment.AllOf(reply.Segments, message, endPoint);
        var answer = new ModelAnswer(reply.LeaseId, segments, reply.LengthBytes, [], reply.TensorCount);
        if (reply.LengthBytes < 1 || reply.LengthBytes > answer.MappedBytes || reply.TensorCount < 0)
        {
            answer.CloseFiles();
            throw new PoolProtocolException(
                endPoint.ToString(),
                $"The server's model has {reply.LengthBytes} B in segments of {answer.MappedBytes} B, and {reply.TensorCount} tensors.");
        }

        answer.Add(reply.Tensors);
        return answer;
    }

    public void Add(IEnumerable<ModelTensor> tensors) => Tensors.AddRange(tensors.Select(tensor => new TensorInfo(
        tensor.Name, tensor.OffsetBytes, tensor.LengthBytes, [.. tensor.Shape], [.. tensor.Strides], tensor.ElementType, tensor.StorageOffset)));

    public void CloseFiles()
    {
        foreach (var segment in Segments)
        {
            segment.CloseFile();
        }
    }
}
