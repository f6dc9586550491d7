"""Other shapes of the same corpus, for trainers that do not read the shards as they are."""
