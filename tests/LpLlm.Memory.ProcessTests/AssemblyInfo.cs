// The tests read what the kernel says of the whole machine: one at a time.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
