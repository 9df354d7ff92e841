"""Folders of a tiny DeltaVLM, made once: exporting takes a while."""

import pytest


@pytest.fixture(scope="session")
def tiny_deltavlm():
    """A tiny model; one large weight is no number of half precision, all others are."""
    import torch
    from deltavlm_factory import tiny_model

    model = tiny_model().half().float()
    with torch.no_grad():
        model.language_model.model.layers[0].mlp.up_proj.weight.mul_(1.0003)
    return model


@pytest.fixture(scope="session")
def plain_deltavlm(tiny_deltavlm, tmp_path_factory):
    """Its folder, which torch runs."""
    from deltavlm_factory import save

    return save(tiny_deltavlm, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def exported_deltavlm(tiny_deltavlm, tmp_path_factory):
    """Its folder with the exports, which ONNX Runtime runs."""
    from deltavlm_factory import save

    from geochg.models.deltavlm.export import export

    folder = save(tiny_deltavlm, tmp_path_factory.mktemp("exported"))
    export(tiny_deltavlm, folder)
    return folder
