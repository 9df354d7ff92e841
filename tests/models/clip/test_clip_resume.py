"""An unfinished run of `clip` is not gone on with when its classes are others."""

import numpy as np
import pytest
from clip_factory import save, tiny_clip
from labelled_pairs import blocks

from geochg.errors import CancelledRunError, GeochgError
from geochg.events import Progress
from geochg.options import AnalyzeOptions
from geochg.pipeline.analyze import analyze
from geochg.pipeline.outputs import Outputs

CLASSES = """
[[classes]]
name = "wood"
prompt = "a forest"
class = "vegetation"

[[classes]]
name = "water"
prompt = "{}"
class = "water"
"""


def test_other_classes_are_another_run(tmp_path, make_raster):
    from threading import Event

    folder, own = save(tiny_clip(), tmp_path / "model"), tmp_path / "own.toml"
    own.write_text(CLASSES.format("a lake"))
    pair = [make_raster(f"{seed}.tif", np.moveaxis(blocks(seed, 256, 8), -1, 0)) for seed in (1, 2)]
    options = {
        "model": f"clip:{folder}",
        "model_options": {"classes": str(own)},
        "tile_size_px": 32,
        "overlap_px": 0,
        "align": "off",
        "batch_size": 8,
    }
    outputs = Outputs(tmp_path / "c.geojson")
    cancel = Event()

    def stop_soon(event):
        if isinstance(event, Progress) and event.stage == "tiles" and event.done:
            cancel.set()

    def run(resume, **told):
        return analyze(
            *pair, AnalyzeOptions.from_dict(options | {"resume": resume}), outputs=outputs, **told
        )

    with pytest.raises(CancelledRunError):
        run(False, listener=stop_soon, cancel=cancel)
    own.write_text(CLASSES.format("a river"))
    with pytest.raises(GeochgError, match="the model"):
        run(True)
    own.write_text(CLASSES.format("a lake"))
    assert run(True).metadata["tiles"]["total"] == 64
