"""A device that is none: its tensors lie in main memory, but only it may compute with them.

As on a GPU, tensors of the host and of the device do not mix, and the host waits for the device
whenever it asks for a value. So mistakes that cost an error or time on a GPU show without one:
a tensor made on the host, a hidden `.item()`. Results are the same as on the CPU.
"""

from __future__ import annotations

import traceback
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

import geochg

aten = torch.ops.aten
DEVICE = torch.device("meta")

OWN = Path(geochg.__file__).parent
_TORCH = Path(torch.__file__).parent

_VALUES = {aten._local_scalar_dense.default, aten.equal.default}
"""Give the host a value."""

_SIZES = {
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.repeat_interleave.Tensor,
}
"""The size of their result depends on values."""

_INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
_COPIES = {aten._to_copy.default, aten.copy_.default}


class PretendTensor(Tensor):
    """A tensor of the device; `values` holds it in main memory."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> PretendTensor:
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=DEVICE,
            requires_grad=values.requires_grad,
        )
        tensor.values = values.detach()
        return tensor

    def __repr__(self) -> str:
        return f"PretendTensor({self.values})"

    def new_tensor(
        self, data: Any, *, dtype: Any = None, device: Any = None, **more: Any
    ) -> Tensor:
        # torch's own keeps no values for "meta".
        return torch.tensor(data, dtype=dtype or self.dtype, device=device or DEVICE, **more)

    def tolist(self) -> Any:
        return self.cpu().tolist()  # torch's own refuses subclasses

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["values"], None

    @staticmethod
    def __tensor_unflatten__(parts: dict[str, Tensor], *_: Any) -> PretendTensor:
        return PretendTensor(parts["values"])

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        raise AssertionError(f"{function} ran without a PretendDevice")


class _ValuesSent(TorchFunctionMode):
    """Has values given for "meta" sent there, where torch would drop them."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        kwargs = dict(kwargs or {})
        device = kwargs.get("device")
        if function in (torch.tensor, torch.as_tensor) and device is not None:
            if isinstance(args[0], Tensor):
                return args[0].to(device, kwargs.get("dtype"))
            data = tree_map(lambda x: x.item() if isinstance(x, PretendTensor) else x, args[0])
            return function(data, *args[1:], **kwargs | {"device": "cpu"}).to(device)
        if function in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(
            args[0], PretendTensor
        ):
            args = (args[0], _sent_lists(args[1]), *args[2:])
        return function(*args, **kwargs)


class PretendDevice(TorchDispatchMode):
    """Computes with tensors of the device while it lasts, and notes when the host waits for it.

    Attributes:
        waits: How often the host waited, by the line of code that made it.
        fills: How often the host sent a tensor, likewise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.fills: Counter[str] = Counter()

    def own_waits(self) -> Counter[str]:
        """The waits that geochg's code makes, not the libraries'."""
        return Counter({line: n for line, n in self.waits.items() if line.startswith(str(OWN))})

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._stack.enter_context(_ValuesSent())
        # In inference mode composite functions come whole, and with them the waits within.
        self._stack.enter_context(patch.object(torch._C, "_InferenceMode", _without_gradients))
        # A mode is of one thread.
        self._stack.enter_context(patch.object(ThreadPoolExecutor, "submit", _run_here))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._stack.close()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        kwargs = dict(kwargs or {})
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        ours = [x for x in tensors if isinstance(x, PretendTensor)]
        target = kwargs.get("device")
        is_ours = bool(ours)
        if target is not None:
            is_ours = torch.device(target).type == DEVICE.type
            kwargs["device"] = torch.device("cpu")
        if not ours and not is_ours:
            return function(*args, **kwargs)
        assert all(x.device.type == "cpu" or isinstance(x, PretendTensor) for x in tensors), (
            f"no values at {_line()}"
        )
        if function not in _COPIES:
            self._refuse_mixing(function, args, tensors)
        elif ours and not (is_ours and isinstance(args[0], PretendTensor)):
            self.waits[_line()] += 1
        if len(ours) < len(tensors):
            self.fills[_line()] += 1
        if function in _VALUES | _SIZES or (function in _INDEXING and _counts_mask(args)):
            self.waits[_line()] += 1
        plain = tree_map(lambda x: x.values if isinstance(x, PretendTensor) else x, (args, kwargs))
        result = function(*plain[0], **plain[1])
        if function is aten.copy_.default and not isinstance(args[0], PretendTensor):
            return args[0]
        if not is_ours or function in _VALUES:
            return result
        wrapped = tree_map(lambda x: PretendTensor(x) if isinstance(x, Tensor) else x, result)
        return return_and_correct_aliasing(function, args, kwargs, wrapped) if ours else wrapped

    @staticmethod
    def _refuse_mixing(function: Any, args: Any, tensors: list[Tensor]) -> None:
        ours = [x for x in tensors if isinstance(x, PretendTensor)]
        others = [x for x in tensors if not isinstance(x, PretendTensor) and x.dim()]
        if function in _INDEXING and isinstance(args[0], PretendTensor):
            # Indices may lie on the host.
            others = [x for x in others if not any(x is index for index in args[1])]
        if ours and others:
            raise RuntimeError(f"{function}: tensors of the host and of the device at {_line()}")


def _sent_lists(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_sent_lists(part) for part in index)
    return torch.tensor(index).to(DEVICE) if isinstance(index, list) else index


def _without_gradients(mode: bool) -> AbstractContextManager[None]:
    return torch.no_grad() if mode else nullcontext()


def _run_here(pool: Any, function: Any, *args: Any, **kwargs: Any) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(function(*args, **kwargs))
    except Exception as error:
        future.set_exception(error)
    return future


def _counts_mask(args: Any) -> bool:
    """Whether a mask is an index; one number is filled in without counting."""
    is_mask = any(index is not None and index.dtype is torch.bool for index in args[1])
    return is_mask and not (len(args) > 2 and args[2].numel() == 1)


def _line() -> str:
    """The innermost line of code that is neither torch's nor of this file."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith((str(_TORCH), __file__)):
            return f"{frame.filename}:{frame.lineno} {frame.line}"
    return ""


def to_device(module: nn.Module) -> nn.Module:
    """Moves a module's weights and buffers, shared ones once."""
    moved: dict[int, Tensor] = {}
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in moved:
                    ours = PretendTensor(tensor.detach())
                    is_weight = tensors is part._parameters
                    moved[id(tensor)] = (
                        nn.Parameter(ours, tensor.requires_grad) if is_weight else ours
                    )
                tensors[name] = moved[id(tensor)]
    return module
