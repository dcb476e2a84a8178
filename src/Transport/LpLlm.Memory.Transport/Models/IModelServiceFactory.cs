using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport.Models;

/// <summary>What a host registers so that its pool server has a model store.</summary>
internal interface IModelServiceFactory
{
    /// <summary>Makes the model store of a server that starts. Its memory is the engine's.</summary>
    IModelService Create(PoolEngine engine);
}
