"""Models that ask another model: closer, or with a clue."""
