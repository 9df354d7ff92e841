"""The device by which other tests find what a GPU would stumble over finds it."""

import pytest
import torch
from pretend_device import DEVICE, PretendDevice, to_device
from torch import nn


def test_it_computes_as_the_cpu_does():
    torch.manual_seed(0)
    layer, images = nn.Linear(4, 3), torch.randn(5, 4)
    expected = layer(images)
    with PretendDevice() as device:
        result = to_device(layer)(images.to(DEVICE))
        result.sum().backward()
        assert result.device == layer.weight.grad.device == DEVICE
        assert device.waits.total() == 0
        assert torch.equal(result.cpu(), expected)


MISTAKES = {
    "a tensor of the host": lambda x: x + torch.ones(3),
    "one that is made on the host": lambda x: torch.cat((x, torch.arange(3.0))),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_tensors_of_the_host_do_not_mix_with_its_own(kind):
    with PretendDevice():
        values = torch.zeros(3, device=DEVICE)
        with pytest.raises(RuntimeError, match=r"host and of the device at .*test_pretend_device"):
            MISTAKES[kind](values)


WAITS = {
    "a number": lambda x: x.sum().item(),
    "a condition": lambda x: bool((x > 0).any()),
    "a list": lambda x: x.tolist(),
    "an array": lambda x: x.cpu().numpy(),
    "a mask": lambda x: x[x > 0],
    "a list of numbers": lambda x: torch.tensor([x[0]], device=DEVICE),
    "places": lambda x: x.nonzero(),
}


@pytest.mark.parametrize("kind", WAITS)
def test_every_wait_for_a_value_is_noted(kind):
    with PretendDevice() as device:
        values = torch.tensor([1.0, 0.0, 2.0], device=DEVICE)
        torch.inference_mode()(WAITS[kind])(values)
    assert device.waits.total() == 1
    assert "test_pretend_device" in next(iter(device.waits))


def test_nothing_else_is_a_wait():
    with PretendDevice() as device:
        values = torch.tensor([1.0, 0.0, 2.0], device=DEVICE)
        values[values > 1] = torch.nan
        values[[0, 2]].to(DEVICE, torch.float64).softmax(dim=0)
    assert device.waits.total() == 0
