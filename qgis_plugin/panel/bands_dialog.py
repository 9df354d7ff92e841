"""The form for the bands of each date that show red, green, blue and near infrared."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.band_mapping import ROLES, bands_text, guessed_bands, is_named, mapped_bands
from geochg_qgis.i18n import tr
from geochg_qgis.panel.layouts import (
    choice_box,
    name_dialog_buttons,
    name_widget,
    plain_label,
    set_focus_order,
)

_WIDTH_PX = 520
_DATES = ("before", "after")
_NEEDED = frozenset(ROLES[:3])


class BandsDialog(QDialog):
    """Shows a row for each colour and a column for each date.

    Args:
        images: For each date, the earlier first, the name of its layer and those of its bands.
        text: The option as it is.
        parent: Parent widget.

    Attributes:
        boxes: The boxes by colour and date, such as `("red", "before")`.
    """

    def __init__(
        self,
        images: Sequence[tuple[str, Sequence[str]]],
        text: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("GeochgBands")
        self.setWindowTitle(tr("Bands"))
        self.resize(_WIDTH_PX, self.sizeHint().height())
        bands, others = mapped_bands(text)
        self._others = [token for token in others if "=" in token]
        self._lost = [token for token in others if "=" not in token]
        self._text = text
        self.boxes: dict[tuple[str, str], QComboBox] = {}
        self.note, self.status = plain_label(self), plain_label(self)
        self.note.setText(_note(images, self._lost, self._others))
        buttons = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(buttons.Ok | buttons.Cancel, parent=self)
        self.reset = QPushButton(tr("&Let the images tell"), self)
        self._lay_out(images)
        self._fill(images, bands)
        self._name(images)
        self._connect()
        self._check()

    def text(self) -> str:
        """The option for what is chosen."""
        return self._text

    def accept(self) -> None:
        """Keeps what is chosen."""
        self._text = bands_text(self._chosen_bands(), self._others)
        super().accept()

    def _let_images_tell(self) -> None:
        self._text = ""
        super().accept()

    def _chosen_bands(self) -> dict[str, tuple[int, int]]:
        """The bands of colours that are chosen at both dates."""
        numbers = {key: int(box.currentData()) for key, box in self.boxes.items()}
        pairs = {role: (numbers[role, "before"], numbers[role, "after"]) for role in ROLES}
        return {role: pair for role, pair in pairs.items() if all(pair)}

    def _problem(self) -> str:
        """What keeps the choice from being used; empty when nothing does."""
        labels = _labels()
        numbers = {key: box.currentData() for key, box in self.boxes.items()}
        for role in ROLES:
            if bool(numbers[role, "before"]) != bool(numbers[role, "after"]):
                return tr("{}: choose a band of both images, or of none").format(labels[role])
        for date in _DATES:
            first_roles: dict[int, str] = {}
            for role in ROLES:
                number = numbers[role, date]
                if number and number in first_roles:
                    names = labels[first_roles[number]], labels[role]
                    return tr("{0} and {1} are the same band").format(*names)
                first_roles[number] = role
        return "" if self._chosen_bands() else tr("No band is chosen")

    def _check(self, *_: object) -> None:
        problem, text = self._problem(), ""
        if not problem and not _NEEDED <= set(self._chosen_bands()):
            text = tr("Models that look at pictures, such as builtin, need red, green and blue.")
        self.status.setText(problem or text)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not problem)

    def _fill(
        self,
        images: Sequence[tuple[str, Sequence[str]]],
        bands: dict[str, tuple[int, int]],
    ) -> None:
        for column, (date, (_, names)) in enumerate(zip(_DATES, images)):
            guess = guessed_bands(names)
            for role in ROLES:
                box = self.boxes[role, date]
                box.addItem(tr("none"), 0)
                for number, name in enumerate(names, start=1):
                    box.addItem(name, number)
                number = bands[role][column] if role in bands else 0
                if not bands and not self._lost:
                    number = guess.get(role, 0)
                box.setCurrentIndex(max(box.findData(number), 0))

    def _lay_out(self, images: Sequence[tuple[str, Sequence[str]]]) -> None:
        grid = QGridLayout()
        for column, (title, (layer_name, _)) in enumerate(
            zip((tr("Before"), tr("After")), images), start=1
        ):
            grid.addWidget(plain_label(self, f"{title}: {layer_name}"), 0, column)
            grid.setColumnStretch(column, 1)
        for row, (role, label) in enumerate(_labels(with_mnemonics=True).items(), start=1):
            caption = QLabel(label, self)
            grid.addWidget(caption, row, 0)
            for column, date in enumerate(_DATES, start=1):
                box = self.boxes[role, date] = choice_box(self)
                grid.addWidget(box, row, column)
            caption.setBuddy(self.boxes[role, "before"])
        layout = QVBoxLayout(self)
        layout.addWidget(self.note)
        layout.addLayout(grid)
        layout.addWidget(self.status)
        layout.addStretch(1)
        self.buttons.addButton(self.reset, QDialogButtonBox.ButtonRole.ResetRole)
        layout.addWidget(self.buttons)

    def _name(self, images: Sequence[tuple[str, Sequence[str]]]) -> None:
        labels = _labels()
        for (role, date), box in self.boxes.items():
            layer_name = images[_DATES.index(date)][0]
            tip = tr("The band of {0} that shows {1}").format(layer_name, labels[role])
            name = f"GeochgBand_{role}_{date}"
            name_widget(box, name, f"{labels[role]}, {layer_name}", tip)
        tips = {"Ok": tr("Uses these bands"), "Cancel": tr("Leaves the bands as they were")}
        name_dialog_buttons(self.buttons, "GeochgBands", tips)
        reset_tip = tr("Goes by the names of the bands again")
        name_widget(self.reset, "GeochgBandsReset", tr("Let the images tell"), reset_tip)
        set_focus_order(self)
        self.boxes["red", "before"].setFocus()
        self.reset.setAutoDefault(False)

    def _connect(self) -> None:
        for box in self.boxes.values():
            box.currentIndexChanged.connect(self._check)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.reset.clicked.connect(self._let_images_tell)


def _labels(*, with_mnemonics: bool = False) -> dict[str, str]:
    """The colours in words."""
    texts = (tr("&Red"), tr("&Green"), tr("&Blue"), tr("&Near infrared"))
    return {
        role: text if with_mnemonics else text.replace("&", "") for role, text in zip(ROLES, texts)
    }


def _note(
    images: Sequence[tuple[str, Sequence[str]]], lost: Sequence[str], others: Sequence[str]
) -> str:
    """What the user should know of the choice."""
    unnamed = [name for name, bands in images if not is_named(bands)]
    texts = []
    if unnamed:
        text = tr("The bands of {} are not named: check the choice.")
        texts.append(text.format(", ".join(dict.fromkeys(unnamed))))
    if lost:
        texts.append(tr("This form replaces the bands {}.").format(", ".join(lost)))
    if others:
        texts.append(tr("The bands {} stay as they are.").format(", ".join(others)))
    return " ".join(texts) or tr("Choose what the bands of each image show.")
