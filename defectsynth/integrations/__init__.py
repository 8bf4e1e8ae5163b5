"""One file per ecosystem that takes samples: none is imported until it is asked for, and each needs its host installed."""
