"""Options that give the same model, and those that do not."""

from dataclasses import fields

import pytest

from geochg.models.loading import MODEL_OPTIONS, load_configured_model, model_key
from geochg.options import AnalyzeOptions


class RecordedOptions:
    """Options that note which of their fields are read."""

    def __init__(self, options):
        self.names = set()
        self._options = options

    def __getattr__(self, name):
        self.names.add(name)
        return getattr(self._options, name)


def test_the_key_holds_every_option_that_loading_reads():
    options = RecordedOptions(AnalyzeOptions(model="irmad"))
    load_configured_model(options)
    read_names = options.names & {field.name for field in fields(AnalyzeOptions)}
    assert {"model", "vote", "refine"} <= read_names <= set(MODEL_OPTIONS)


@pytest.mark.parametrize("change", [{"vote": True}, {"classes": ("water",)}, {"batch_size": 2}])
def test_other_options_of_the_model_have_another_key(change):
    usual = AnalyzeOptions(model="irmad")
    assert model_key(AnalyzeOptions(model="irmad", **change)) != model_key(usual)
    assert model_key(AnalyzeOptions(model="irmad", min_area_m2=5)) == model_key(usual)
