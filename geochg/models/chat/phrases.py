"""The sentences of which rules make their answers, in English and German."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from geochg.records import Change
from geochg.tasks.lexicon import COUNTABLE


@dataclass(frozen=True)
class Phrases:
    """The words and sentences of a language.

    Attributes:
        nouns: Singular and plural of each class.
        verbs: What happened, by direction.
        changed: What happened where directions differ.
        surface: Sentence about ground of no certain class.
        clause: Form of a sentence about a class: noun, area and verb.
        area: Form of an area before or behind the verb.
        places: Compass words and parts of an image, where they differ from English.
        conjunction: Word between the last two of several.
        no_such_change: Answer where nothing of the kind changed.
        unchanged: Answer where nothing changed.
        yes: Word before what changed.
        no: Answer to whether something changed that did not.
        none_changed: Form of an answer that counts nothing.
        no_number: Word for zero.
        about: Word before numbers that are not exact.
        share: Form of the share of the ground that changed.
        least_share: Text for a share below one percent.
        unknown: Form of an answer to a word that is not known.
        unseen: Form of an answer about a class that the model does not know.
        not_understood: Answer to a question that is none.
        not_counted: Form of an answer about a class that is not counted.
        counts_nothing: Answer of models that do not count.
        abilities: Form of what can be asked.
        any_class: Word for no class in particular.
        swaps_separators: Whether a comma stands before decimals.
    """

    nouns: Mapping[str, tuple[str, str]]
    verbs: Mapping[Change, str]
    changed: str
    surface: str
    clause: str
    area: str
    places: Mapping[str, str]
    conjunction: str
    no_such_change: str
    unchanged: str
    yes: str
    no: str
    none_changed: str
    no_number: str
    about: str
    share: str
    least_share: str
    unknown: str
    unseen: str
    not_understood: str
    not_counted: str
    counts_nothing: str
    abilities: str
    any_class: str
    swaps_separators: bool = False

    def noun(self, class_name: str, number: int = 2) -> str:
        """The name of a class for a number of things."""
        return self.nouns.get(class_name, (class_name, class_name))[number != 1]

    def number_text(self, text: str) -> str:
        """A number written in English, as the language writes it."""
        separators = str.maketrans({",": ".", ".": ",", "%": " %"})
        return text.translate(separators) if self.swaps_separators else text

    def joined(self, words: list[str]) -> str:
        """Words with a conjunction before the last."""
        if len(words) < 2:
            return "".join(words)
        return f"{', '.join(words[:-1])} {self.conjunction} {words[-1]}"


ENGLISH = Phrases(
    nouns={**COUNTABLE, "other": ("patch of ground", "patches of ground")},
    verbs={
        Change.APPEARED: "appeared",
        Change.DISAPPEARED: "disappeared",
        Change.ALTERED: "were altered",
    },
    changed="changed",
    surface="The surface changed{area}",
    clause="{noun} {verb}{area}",
    area=" on {}",
    places={},
    conjunction="and",
    no_such_change="Nothing of that kind, as far as I can see.",
    unchanged="Nothing has changed, as far as I can see.",
    yes="Yes.",
    no="No, not that I can see.",
    none_changed="No {} changed that I can see.",
    no_number="no",
    about="About ",
    share="Changes cover {} of what the images show.",
    least_share="less than 1%",
    unknown="I do not know what '{}' means here.",
    unseen="I cannot see '{}'.",
    not_understood="I do not understand the question.",
    not_counted="I do not count {}.",
    counts_nothing="I do not count.",
    abilities=(
        "Ask me whether, where, how much or how {} have changed here; a larger model answers other "
        "questions."
    ),
    any_class="anything",
)

GERMAN = Phrases(
    nouns={
        "road": ("Straße", "Straßen"),
        "building": ("Gebäude", "Gebäude"),
        "vegetation": ("Vegetationsfläche", "Vegetationsflächen"),
        "water": ("Wasserfläche", "Wasserflächen"),
        "bare": ("offene Fläche", "offene Flächen"),
        "other": ("Fläche", "Flächen"),
    },
    verbs={
        Change.APPEARED: "entstanden",
        Change.DISAPPEARED: "verschwunden",
        Change.ALTERED: "verändert",
    },
    changed="geändert",
    surface="Die Oberfläche ist{area} anders",
    clause="{noun} sind{area} {verb}",
    area=" auf {}",
    places={
        "north": "Norden",
        "south": "Süden",
        "west": "Westen",
        "east": "Osten",
        "north-west": "Nordwesten",
        "north-east": "Nordosten",
        "south-west": "Südwesten",
        "south-east": "Südosten",
        "center": "Mitte",
        "top-left": "oben links",
        "top-center": "oben Mitte",
        "top-right": "oben rechts",
        "center-left": "Mitte links",
        "center-center": "Mitte",
        "center-right": "Mitte rechts",
        "bottom-left": "unten links",
        "bottom-center": "unten Mitte",
        "bottom-right": "unten rechts",
    },
    conjunction="und",
    no_such_change="Nichts dergleichen, soweit ich sehe.",
    unchanged="Nichts hat sich geändert, soweit ich sehe.",
    yes="Ja.",
    no="Nein, soweit ich sehe.",
    none_changed="Ich sehe keine geänderten {}.",
    no_number="keine",
    about="Etwa ",
    share="Änderungen bedecken {} dessen, was die Bilder zeigen.",
    least_share="weniger als 1 %",
    unknown="Ich weiß nicht, was „{}“ hier heißt.",
    unseen="„{}“ kann ich nicht sehen.",
    not_understood="Ich verstehe die Frage nicht.",
    not_counted="{} zähle ich nicht.",
    counts_nothing="Ich zähle nicht.",
    abilities=(
        "Fragen Sie, ob, wo, wie viel oder wie sich hier {} geändert haben; andere Fragen "
        "beantwortet ein größeres Modell."
    ),
    any_class="Dinge",
    swaps_separators=True,
)
