import numpy as np
import pytest

from geochg.models.deltavlm.captions import captioned
from geochg.records import Caption, Change, Channel, Outlines

CHANNELS = tuple(
    Channel(name, change)
    for name in ("building", "road", "vegetation", "bare")
    for change in Change
)


def told_by(text):
    """The channels that the caption speaks of."""
    outlines = Outlines(CHANNELS, np.zeros((len(CHANNELS), 2, 2), np.float32))
    found = captioned(outlines, Caption(text, changed=True))
    return {
        (channel.class_name, str(channel.change))
        for channel, caption in zip(CHANNELS, found.captions, strict=True)
        if not caption
    }


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("a house has been built", {("building", "appeared")}),
        ("many residential areas have been constructed", {("building", "appeared")}),
        ("two houses beside the road have been torn down", {("building", "disappeared")}),
        (
            "a street is built and a lot of patches of woodland have been cut down",
            {("road", "appeared"), ("vegetation", "disappeared")},
        ),
        (
            "a construction site newly appears, while a path is widened",
            {("bare", "appeared"), ("road", "altered")},
        ),
        ("there is a building", {("building", str(change)) for change in Change}),
        ("something is different", set()),
    ],
)
def test_a_caption_goes_with_what_it_speaks_of(text, channels):
    assert told_by(text) == channels


def test_the_others_get_a_sentence_of_their_own():
    outlines = Outlines(CHANNELS, np.zeros((len(CHANNELS), 2, 2), np.float32))
    found = captioned(outlines, Caption("a house has been built", changed=True))
    by_channel = dict(zip(CHANNELS, found.captions, strict=True))
    assert by_channel[Channel("road", Change.APPEARED)] == "Roads appeared here."
    assert by_channel[Channel("building", Change.DISAPPEARED)] == "Buildings disappeared here."
