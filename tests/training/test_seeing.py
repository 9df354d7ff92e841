import numpy as np
import pytest
import torch

from geochg.datasets.world.land import BUILT
from geochg.errors import ModelError
from geochg.models.deltavlm.configuration import DeltaVLMDenseConfig
from geochg.models.deltavlm.losses import DenseWeights
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.presets import compact_config
from geochg.training.augment import Augmentation
from geochg.training.compact import load_eyes
from geochg.training.drawn import DrawnPair
from geochg.training.seeing import SeeingOptions, Seer, learn_to_see

CALM = Augmentation(gray_share=0, shift_px=0, zoom=1, coarse_share=0, stretch_share=0, color=0.2)


class Squares:
    """Pairs in which a bright square appears on a noisy ground; as many as asked for."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        before = rng.integers(60, 120, (3, 64, 64), dtype=np.uint8)
        after, classes = before.copy(), np.zeros((64, 64), np.uint8)
        row, col = rng.integers(0, 40, 2)
        after[:, row : row + 20, col : col + 20] += 110
        classes[row : row + 20, col : col + 20] = 1
        directions = (classes > 0).astype(np.uint8)
        land = np.zeros_like(classes), np.where(classes > 0, BUILT, 0).astype(np.uint8)
        counts = [("building", "appeared", 1)]
        return DrawnPair(before, after, classes, directions, *land, counts, [])


def tiny():
    torch.manual_seed(0)
    config = compact_config(50)
    config.vision_config.embedding_size = 8
    config.vision_config.hidden_sizes = [8, 8, 16, 16]
    config.vision_config.depths = [1, 1, 1, 1]
    config.qformer_config.encoder_hidden_size = 16
    config.dense_config = DeltaVLMDenseConfig(widths=(8, 8, 8, 8))
    config.image_size = 64
    config.token_grid = 2
    return DeltaVLMForConditionalGeneration(config)


@torch.no_grad()
def seen(model):
    """How much likelier change is on the squares than off them."""
    model.eval()
    gaps = []
    for index in range(100, 108):
        pair = Squares()[index]
        before, after = (torch.from_numpy(image)[None] / 255 for image in pair[:2])
        probability = model.detect((before - 0.45) / 0.21, (after - 0.45) / 0.21)[0].amax(1)[0]
        square = torch.from_numpy(pair.classes) > 0
        gaps.append(float(probability[square].mean() - probability[~square].mean()))
    return sum(gaps) / len(gaps)


def test_a_small_model_learns_to_see_squares(tmp_path):
    model = tiny()
    language = [p.clone() for n, p in model.named_parameters() if n.startswith("language_model")]
    options = SeeingOptions(steps=80, batch_size=8, learning_rate=5e-3, save_steps=1000)
    before = seen(model)
    learn_to_see(model, Squares(), tmp_path, options, CALM)
    assert seen(model) > before + 0.3
    after = [p for n, p in model.named_parameters() if n.startswith("language_model")]
    assert all((a == b).all() for a, b in zip(language, after, strict=True))
    assert list(tmp_path.rglob("events.out.tfevents.*"))


def test_a_stopped_training_goes_on_from_its_checkpoint(tmp_path):
    options = SeeingOptions(steps=4, batch_size=4, save_steps=4)
    learn_to_see(tiny(), Squares(), tmp_path, options, CALM)
    assert (tmp_path / "checkpoint-4").exists()
    model = tiny()
    learn_to_see(model, Squares(), tmp_path, options, CALM)
    kept = tiny()
    from safetensors.torch import load_file

    Seer(kept, DenseWeights()).load_state_dict(
        load_file(tmp_path / "checkpoint-4" / "model.safetensors"), strict=False
    )
    name = next(n for n, _ in model.named_parameters() if n.startswith("dense."))
    assert torch.equal(model.get_parameter(name), kept.get_parameter(name))


def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path):
    options = SeeingOptions(steps=4, batch_size=4, save_steps=2)
    learn_to_see(tiny(), Squares(), tmp_path, options, CALM)
    # As a kill leaves it: some files half there, and the last one not yet.
    (tmp_path / "checkpoint-4" / "whole").unlink()
    (tmp_path / "checkpoint-4" / "model.safetensors").write_bytes(b"half")
    learn_to_see(tiny(), Squares(), tmp_path, options, CALM)
    assert (tmp_path / "checkpoint-4" / "whole").exists()
    assert (tmp_path / "checkpoint-4" / "model.safetensors").stat().st_size > 4
    assert not (tmp_path / ".saving" / "checkpoint-4").exists()


def test_only_what_sees_is_trained(tmp_path):
    model, untouched = tiny(), tiny()
    options = SeeingOptions(steps=1, batch_size=2, learning_rate=0.01)
    learn_to_see(model, Squares(), tmp_path, options, CALM)
    old = dict(untouched.named_parameters())
    trained = {n.partition(".")[0] for n, p in model.named_parameters() if (p != old[n]).any()}
    assert trained == {"vision", "dense"}


def test_weights_of_another_model_are_refused(tmp_path):
    from safetensors.torch import save_file

    vision = {n: p for n, p in tiny().state_dict().items() if n.startswith("vision.")}
    wide = {name: torch.stack([part, part]) for name, part in vision.items()}
    file = tmp_path / "model.safetensors"
    for parts, told in ((vision, "has no dense"), (wide, "cannot be used"), (None, "cannot be")):
        save_file(parts, file) if parts else file.write_bytes(b"no weights")
        with pytest.raises(ModelError, match=told) as caught:
            load_eyes(tiny(), file)
        assert len(str(caught.value).splitlines()) == 2
