"""One plain sentence about the measured changes of a tile."""

from collections.abc import Mapping

from geochg.records import Change, Channel
from geochg.tasks.statements import NO_CHANGE_SENTENCES

NO_CHANGE = f"{NO_CHANGE_SENTENCES[0].capitalize()}."
"""One of the five sentences that mean no change."""

LEAST_SHARE = 0.005
"""Kinds of change below this share of a tile are left out unless they are all there is."""

_NOUNS = {"other": "the surface", "bare": "bare ground"}
_VERBS = {Change.APPEARED: "appeared", Change.DISAPPEARED: "disappeared", Change.ALTERED: "changed"}


def sentence(shares: Mapping[Channel, float]) -> str:
    """One sentence: "Water appeared on 12% of this tile; vegetation disappeared on 3%.", say.

    `shares` has the share (0-1) of the valid pixels for each kind of change; it is not empty.
    """
    ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    named_shares = [item for item in ranked if item[1] >= LEAST_SHARE] or ranked[:1]
    first, *others = (_clause(channel, share) for channel, share in named_shares)
    parts = [f"{first} of this tile", *others]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _clause(channel: Channel, share: float) -> str:
    noun = _NOUNS.get(channel.class_name, channel.class_name)
    percent = f"{share:.0%}" if share >= LEAST_SHARE * 2 else "less than 1%"
    return f"{noun} {_VERBS[channel.change]} on {percent}"
