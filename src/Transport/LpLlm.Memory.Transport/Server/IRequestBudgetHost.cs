namespace LpLlm.Memory.Transport.Server;

/// <summary>A handler with several listeners, which share one budget for what clients make the server keep in memory.</summary>
internal interface IRequestBudgetHost
{
    PeerBudget RequestBudget { get; }
}
