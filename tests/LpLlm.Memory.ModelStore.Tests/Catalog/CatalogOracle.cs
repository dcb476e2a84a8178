namespace LpLlm.Memory.Models;

/// <summary>The catalog's answers when one call follows the other, written down as plainly as can be. Sizes are pages.</summary>
internal sealed class CatalogOracle(int capacityPages, bool registrationRequired, int floorPages)
{
    private readonly SortedDictionary<string, Model> _models = new(StringComparer.Ordinal);
    private int _clock;

    public int FloorPages => floorPages;

    public int UsedPages => _models.Values.Where(model => model.IsLoaded).Sum(model => model.Pages);

    public void Add(string name, int pages) => _models.Add(name, new Model { Pages = pages });

    public bool IsBroken(string name) => _models[name].IsBroken;

    public void BreakOrMend(string name) => _models[name].IsBroken ^= true;

    public ModelStoreFault? Register(string name)
    {
        _models[name].IsRegistered = true;
        return null;
    }

    public ModelStoreFault? Load(string name)
    {
        var model = _models[name];
        if (!model.IsRegistered && registrationRequired)
        {
            return ModelStoreFault.NotFound;
        }

        model.IsRegistered = true;
        model.LastUse = ++_clock;
        if (!model.IsLoaded)
        {
            model.Failure = Bring(model);
        }

        return model.Failure;
    }

    public ModelStoreFault? Use(string name)
    {
        var fault = Load(name);
        _models[name].Uses += fault is null ? 1 : 0;
        return fault;
    }

    public void EndUse(string name)
    {
        _models[name].Uses--;
        _models[name].LastUse = ++_clock;
    }

    public ModelStoreFault? Unload(string name)
    {
        var model = _models[name];
        if (!model.IsLoaded || model.Uses > 0)
        {
            return model.IsLoaded ? ModelStoreFault.InUse : ModelStoreFault.NotFound;
        }

        model.IsLoaded = false;
        return null;
    }

    public ModelStoreFault? Confirm(string name) =>
        _models[name] is { IsLoaded: false } model ? model.Failure ?? ModelStoreFault.NotFound : null;

    public int Evict(int pages)
    {
        var freed = 0;
        while (freed < pages && Oldest(floorPages) is { } oldest)
        {
            oldest.IsLoaded = false;
            freed += oldest.Pages;
        }

        return freed;
    }

    public void Clear()
    {
        foreach (var model in _models.Values)
        {
            model.IsRegistered = false;
            model.Failure = null;
            model.IsLoaded &= model.Uses > 0;
        }
    }

    public IEnumerable<(string, ModelState, bool, int)> List() => _models
        .Where(pair => pair.Value.IsRegistered || pair.Value.IsLoaded)
        .Select(pair => (
            pair.Key,
            pair.Value.IsLoaded ? ModelState.Loaded : pair.Value.Failure is null ? ModelState.Registered : ModelState.Failed,
            pair.Value.IsRegistered,
            pair.Value.Uses));

    private ModelStoreFault? Bring(Model model)
    {
        while (model.Pages > capacityPages - UsedPages)
        {
            if (Oldest(floor: 0) is not { } oldest)
            {
                return ModelStoreFault.NoRoom;
            }

            oldest.IsLoaded = false;
        }

        model.IsLoaded = !model.IsBroken;
        return model.IsBroken ? ModelStoreFault.Unreadable : null;
    }

    private Model? Oldest(int floor) => _models.Values
        .Where(model => model is { IsLoaded: true, Uses: 0 } && UsedPages - model.Pages >= floor)
        .MinBy(model => model.LastUse);

    private sealed class Model
    {
        public required int Pages { get; init; }

        public bool IsRegistered { get; set; }

        public bool IsLoaded { get; set; }

        public bool IsBroken { get; set; }

        public int Uses { get; set; }

        public int LastUse { get; set; }

        public ModelStoreFault? Failure { get; set; }
    }
}
