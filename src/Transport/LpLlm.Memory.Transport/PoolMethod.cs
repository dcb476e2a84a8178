namespace LpLlm.Memory.Transport;

/// <summary>The calls of a pool server, named and numbered as on the wire. All have one reply but <see cref="Watch"/>, a stream.</summary>
public enum PoolMethod
{
    /// <summary>Opens or resumes a session.</summary>
    Hello = 1,

    /// <summary>Takes a lease.</summary>
    Acquire = 2,

    /// <summary>Appends segments to a lease.</summary>
    Grow = 3,

    /// <summary>Gives segments of a lease back.</summary>
    Shrink = 4,

    /// <summary>Lets go of a lease.</summary>
    Release = 5,

    /// <summary>Cancels an acquisition or a growth.</summary>
    Withdraw = 6,

    /// <summary>Joins a lease.</summary>
    Attach = 7,

    /// <summary>Presents segments to a server that was started anew.</summary>
    Restore = 8,

    /// <summary>Says that the client lives.</summary>
    Renew = 9,

    /// <summary>What the server wants of the client: a stream.</summary>
    Watch = 10,

    /// <summary>Lists leases.</summary>
    List = 11,

    /// <summary>Describes one lease.</summary>
    Inspect = 12,

    /// <summary>Takes a lease away.</summary>
    Revoke = 13,

    /// <summary>Reads the server's figures.</summary>
    Statistics = 14,

    /// <summary>Opens a model: its memory, to read.</summary>
    OpenModel = 15,

    /// <summary>Closes a model.</summary>
    CloseModel = 16,

    /// <summary>Reads on in the index of an open model.</summary>
    GetModelIndex = 19,

    /// <summary>Lists models.</summary>
    ListModels = 20,

    /// <summary>Brings a model into memory.</summary>
    LoadModel = 21,

    /// <summary>Takes a model out of memory.</summary>
    UnloadModel = 22,

    /// <summary>Copies segments of a lease into device memory that the caller has exported.</summary>
    CopyToDevice = 17,

    /// <summary>Copies device memory that the caller has exported into segments of a lease.</summary>
    CopyFromDevice = 18,
}
