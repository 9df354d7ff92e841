"""Pairs that the tests of the world share; small, so that all of it takes seconds."""

from functools import cache

from geochg.datasets.world import WorldOptions, WorldPair, scene

SMALL = WorldOptions(size_px=96)
PLAIN = WorldOptions(size_px=96, nuisances=False, unchanged_share=0.0, reversed_share=0.0)


@cache
def small_pairs(count: int = 40) -> tuple[WorldPair, ...]:
    return tuple(scene(seed, SMALL) for seed in range(count))


@cache
def plain_pairs(count: int = 24) -> tuple[WorldPair, ...]:
    return tuple(scene(seed, PLAIN) for seed in range(count))
