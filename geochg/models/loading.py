"""The model of a run, with clues and closer looks where the options ask for them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from geochg.errors import OptionError
from geochg.models.base import ChangeModel
from geochg.models.registry import (
    find_backend,
    load_model,
    models_of_any_words,
    models_of_one_image,
)
from geochg.models.wrappers.clue import CluedModel
from geochg.models.wrappers.refine import RefinedModel
from geochg.options import AnalyzeOptions, Sensitivity
from geochg.records import AskedClass, Question, Task
from geochg.tasks import ask
from geochg.tasks.patterns import CELL_FIELD, CLASS_FIELDS, fields_of
from geochg.tasks.prompts import CLUE, check_prompts

MAPPED_TASKS = (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)
"""The tasks whose answers become features, in the order they are asked."""


class ClueOptions(Protocol):
    """Options that say what is put around the words of a question."""

    @property
    def device(self) -> str:
        """The device of both models."""

    @property
    def clue(self) -> bool:
        """Whether the model describes each tile first."""

    @property
    def clue_model(self) -> str:
        """Model that does so instead; empty for none."""

    @property
    def clue_options(self) -> Mapping[str, Any]:
        """Options of that model's own."""

    @property
    def prompts(self) -> Mapping[str, str]:
        """Prompts in the user's own words, by task."""


MODEL_OPTIONS = (
    *("model", "model_options", "prompts", "clue", "clue_model", "clue_options", "refine", "vote"),
    *("classes", "classes_file", "device", "batch_size"),
)
"""The options that `load_configured_model` looks at."""


def model_key(options: AnalyzeOptions) -> str:
    """A text that is the same for options that give the same model, or the same refusal of it."""
    values = options.to_dict()
    return json.dumps([values[name] for name in MODEL_OPTIONS], sort_keys=True, default=str)


def load_configured_model(options: AnalyzeOptions) -> ChangeModel:
    """Loads the model of a run, with clues and closer looks where the options ask for them.

    `load_model` gives the model alone. A model may be used for any number of pairs, one at a time.

    Args:
        options: Of them, `model`, `model_options` and `device` name the model; `clue`,
            `clue_model`, `clue_options`, `refine` and `prompts` say what is put around it.

    Returns:
        The model, to be given to `analyze` with the same options.

    Raises:
        ModelError: As `load_model`, or if two models do not go together.
        OptionError: As `load_model`, if a prompt makes no sense or would not be asked, or if the
            model does not answer by the 3x3 grid and `refine` or `vote` need that.
    """
    check_prompts(options.prompts)
    model = load_model(options.model, _own_options(options), options.device)
    model = with_clues(model, options)
    _check_grid(options, model)
    if not options.refine:
        return model
    return RefinedModel(model, options.refine, options.wanted_classes, options.batch_size)


def _own_options(options: AnalyzeOptions) -> Mapping[str, Any]:
    """The model's own options, with the user's classes where it takes any."""
    if options.class_list is None:
        return options.model_options
    backend, _ = find_backend(options.model)
    if not backend.backend_capabilities.free_classes:
        return options.model_options
    own_options = backend.options_type.from_dict(options.model_options)
    return {**options.model_options, **backend.class_options(own_options, options.class_list)}


def with_clues(model: ChangeModel, options: ClueOptions) -> ChangeModel:
    """The model with clues where the options ask for them.

    Raises:
        ModelError: If two models do not go together.
        OptionError: If a prompt would never be used.
    """
    has_clue = options.clue or bool(options.clue_model)
    _check_prompts(options.prompts, model, has_clue=has_clue)
    if not has_clue:
        return model
    if not options.clue_model:
        return CluedModel(model, model, options.prompts)
    captioner = load_model(options.clue_model, options.clue_options, options.device)
    return CluedModel(model, captioner, options.prompts)


def mapped_questions(model: ChangeModel, options: AnalyzeOptions) -> list[Question]:
    """The questions about every tile: of the tasks that become features and that a model knows.

    A model that tells land cover is only asked where it changed: the rest follows from its map.

    Args:
        model: The model.
        options: Of them, `prompts` are prompts in the user's own words, and `class_list` and
            `wanted_classes` the classes that a model of any words is asked about.
    """
    able = model.capabilities
    classes: tuple[AskedClass, ...] = ()
    if options.class_list is not None and able.free_classes and able.asked_in_words:
        class_list = options.class_list.of_outputs(options.wanted_classes, "the class list")
        classes = class_list.asked_classes()
    known_tasks = [
        task
        for task in MAPPED_TASKS
        if task in able.tasks and (not able.tells_land_cover or task is Task.LOCATE)
    ]
    questions = [ask(task, options.prompts.get(task), classes) for task in known_tasks]
    if not options.learned:
        return questions
    return [replace(question, with_features=True) for question in questions]


def _check_prompts(prompts: Mapping[str, str], model: ChangeModel, *, has_clue: bool) -> None:
    """Refuses prompts that would never be used."""
    able = model.capabilities
    worded_tasks = able.asked_in_words if not able.tells_land_cover else frozenset[Task]()
    idle = [name for name in prompts if name != CLUE and name not in worded_tasks]
    if idle:
        raise OptionError(
            f"{model.name} is not asked about {idle[0]} in words",
            f"it is asked about {', '.join(sorted(worded_tasks)) or 'nothing'}; leave out the rest",
        )
    for name, text in prompts.items():
        fields = sorted(fields_of(text) & (CLASS_FIELDS | {CELL_FIELD}))
        if fields and name not in able.asked_by_class:
            raise OptionError(
                f"{model.name} is not asked about each class by itself, so the prompt {name!r} "
                f"cannot hold {{{fields[0]}}}",
                "write {classes}, which stands for all of them",
            )
    if CLUE in prompts and not has_clue:
        raise OptionError("there is a prompt 'clue', but no clue", "add --clue or --clue-model")


def _check_grid(options: AnalyzeOptions, model: ChangeModel) -> None:
    """Refuses `refine` and `vote` for a model that does not answer in cells."""
    flags = [
        flag
        for flag, is_given in (("--refine", options.refine), ("--vote", options.vote))
        if is_given
    ]
    if not flags:
        return
    hint = f"leave out {' and '.join(flags)}"
    if model.capabilities.location == "mask":
        raise OptionError(f"{model.name} gives outlines, which are finer than cells", hint)
    if Task.LOCATE not in model.capabilities.tasks:
        raise OptionError(f"{model.name} does not say where something changed", hint)


def check_tells_of_one(model: ChangeModel, task: Task) -> None:
    """Refuses a model that compares images, or cannot do with one what is asked of it.

    Raises:
        OptionError: Naming those that can.
    """
    if task in model.capabilities.tasks_of_one:
        return
    others = ", ".join(models_of_one_image(task)) or "none"
    reason = "answers no questions about one image"
    if task is not Task.QUESTION or not model.capabilities.tasks_of_one:
        reason = "compares two images, and cannot tell of one"
    raise OptionError(f"the model {model.name} {reason}", f"models that can: {others}")


def check_sensitivity(options: AnalyzeOptions, model: ChangeModel) -> None:
    """Refuses a sensitivity that would move nothing.

    Raises:
        OptionError: If the model does not outline.
    """
    if options.sensitivity is not Sensitivity.NORMAL and model.capabilities.location != "mask":
        raise OptionError(
            f"{model.name} does not outline, so there is no threshold for a sensitivity to move",
            "leave out --sensitivity",
        )


def check_classes(options: AnalyzeOptions, model: ChangeModel) -> None:
    """Refuses to keep only classes that the model does not know.

    Raises:
        OptionError: Naming those it knows.
    """
    able, known_classes = model.capabilities, model.capabilities.classes
    if able.free_classes:
        return
    others = ", ".join(models_of_any_words()) or "none"
    if options.classes_file:
        raise OptionError(
            f"{model.name} takes no class file: it knows {', '.join(known_classes)}",
            f"choose of these with --classes, or a model that takes any words: {others}",
        )
    if unknown := [name for name in options.classes if name not in known_classes]:
        raise OptionError(
            f"{model.name} knows no class {', '.join(map(repr, unknown))}",
            f"its classes: {', '.join(known_classes)}; models that take any words: {others}",
        )
