"""Libraries that warn of what is meant to be so are kept from it, and only for as long as asked."""

import logging

from geochg.models.library_guards import quiet_libraries


def test_the_exporter_says_nothing_of_what_it_skips():
    # As torch's own, which speaks of each operator of a package that is not installed.
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = log.getEffectiveLevel()
    with quiet_libraries():
        assert not log.isEnabledFor(logging.WARNING)
        assert log.isEnabledFor(logging.ERROR)
    assert log.getEffectiveLevel() == before
