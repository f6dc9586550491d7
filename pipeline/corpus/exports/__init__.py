"""Exports the corpus in other formats, for trainers that do not read the shards."""
