"""What QGIS's plugin site, and both of its Qt versions, ask of the plugin."""

import ast
import configparser
import json
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from plugin_package import FOLDER, small_wheel
from qgis_worker import WORKER_PYTHON

LARGEST_BYTES = 25_000_000


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory):
    """The plugin as its zip holds it."""
    folder = tmp_path_factory.mktemp("zip")
    told = ["--repository", "https://git.test/geochg", "--email", "someone@git.test"]
    told += ["--wheel", str(small_wheel(folder))]
    subprocess.run([str(WORKER_PYTHON), str(FOLDER / "build.py"), *told, str(folder)], check=True)
    path = folder / "geochg_qgis.zip"
    assert path.stat().st_size < LARGEST_BYTES
    with zipfile.ZipFile(path) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"geochg_qgis"}
        archive.extractall(folder)
    return folder / "geochg_qgis"


def test_the_zip_holds_what_it_must_and_nothing_else(unzipped):
    assert {"__init__.py", "metadata.txt", "LICENSE"} <= {p.name for p in unzipped.iterdir()}
    files = [path for path in unzipped.rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in files if path.name != "LICENSE"}
    assert suffixes <= {".py", ".svg", ".json", ".txt"}
    assert not [path for path in files if "__pycache__" in path.parts or path.name == "build.py"]


def test_the_metadata_is_complete(unzipped):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(unzipped / "metadata.txt", encoding="utf-8")
    told = dict(parser["general"])
    for key in (
        "name", "description", "version", "author", "email", "about", "tracker", "repository",
    ):  # fmt: skip
        assert told[key].strip()
    assert told["tracker"] == "https://git.test/geochg/issues"
    assert told["repository"] == told["homepage"] == "https://git.test/geochg"
    assert told["email"] == "someone@git.test"
    assert told["qgisminimumversion"] == "3.22"
    assert told["hasprocessingprovider"] == "yes"
    assert "External dependency" in told["about"]
    assert (unzipped / told["icon"]).is_file()


SITE_REQUIRES = (
    "name", "description", "version", "qgisMinimumVersion", "author", "email", "about", "tracker",
    "repository",
)  # fmt: skip
SITE_LISTS = (
    "homepage", "changelog", "qgisMaximumVersion", "tags", "deprecated", "experimental", "server",
    "category", "icon", "hasProcessingProvider",
)  # fmt: skip
CATEGORIES = {"Raster", "Vector", "Database", "Mesh", "Web"}


def test_the_metadata_is_read_as_the_site_reads_it(unzipped):
    # With percent signs as references, and keys as they are written.
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read(unzipped / "metadata.txt", encoding="utf-8")
    told = dict(parser.items("general"))
    assert [key for key in (*SITE_REQUIRES, *SITE_LISTS) if not told.get(key, "").strip()] == []
    for flag in ("experimental", "deprecated", "server"):
        assert told[flag] in ("True", "False")
    assert told["category"] in CATEGORIES
    least, greatest = (
        tuple(map(int, told[f"qgis{end}Version"].split("."))) for end in ("Minimum", "Maximum")
    )
    assert (3, 22) == least < (3, 40) < (4, 0) < greatest
    assert told["version"] == told["changelog"].partition(":")[0]
    tags = [tag.strip() for tag in told["tags"].split(",")]
    assert len(set(tags)) == len(tags) > 5
    assert "/" not in told["author"]
    assert len(told["description"]) < 120
    assert {"description[de]", "about[de]"} <= set(told)
    # QGIS 4 goes by the greatest version; the flag of its first days is not read any more.
    assert "supportsQt6" not in told
    icon = (unzipped / told["icon"]).read_text(encoding="utf-8")
    assert icon.startswith("<svg")


GONE_IN_QT6 = {
    "exec_", "qApp", "QRegExp", "QRegExpValidator", "QDesktopWidget", "QGLWidget", "QTextCodec",
    "QMatrix", "MidButton", "TextColorRole", "BackgroundColorRole", "HighQualityAntialiasing",
    "setTabStopWidth", "toTime_t", "fromTime_t", "setMargin", "resources_rc",
}  # fmt: skip
DEPRECATED_IN_QGIS = {
    # Each has another name that QGIS 3.22 knows, too.
    "writeAsVectorFormat", "writeAsVectorFormatV2", "legendInterface", "QgsMapLayerRegistry",
    "fieldNameIndex", "pendingFields", "rendererV2", "setRendererV2", "setKeywordList",
    "setAbstract", "asWktCoordinates",
}  # fmt: skip


def used_names(tree):
    """Names, attributes and imported names of a module, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from ((name.name, node.lineno) for name in node.names)


def test_no_name_is_used_that_qt6_or_qgis_4_lack():
    gone = GONE_IN_QT6 | DEPRECATED_IN_QGIS
    wrong = [
        f"{path.name}:{line} {name}"
        for path, tree in _sources()
        for name, line in used_names(tree)
        if name in gone
    ]
    assert wrong == []


def test_no_call_is_used_that_pyqt6_takes_otherwise():
    """What QGIS's own script for the change to Qt 6 rewrites or warns of."""
    wrong = []
    for path, tree in _sources():
        for node in ast.walk(tree):
            line = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                # PyQt6 has no null variants, and no dates without a time.
                if name == "QVariant" or (name == "QDateTime" and len(node.args) in (1, 8)):
                    wrong.append(f"{line} {name}")
                if name == "addAction" and len(node.args) >= 4:
                    wrong.append(f"{line} {name}")
            elif isinstance(node, ast.Subscript):
                # Overloads such as `activated[str]`.
                is_signal = isinstance(node.value, ast.Attribute) and node.value.attr[0].islower()
                if is_signal and ast.unparse(node.slice) in ("str", "int"):
                    wrong.append(f"{line} {ast.unparse(node)}")
            elif isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                if text.startswith("QVariant.Type") or text.endswith("fontMetrics().width"):
                    wrong.append(f"{line} {text}")
    assert wrong == []


def test_types_of_fields_are_qmetatypes_where_qgis_takes_them():
    """`QVariant.String` stands beside the version of QGIS up to which it is wanted, only."""
    for path, tree in _sources():
        variants = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "QVariant"
        ]
        choices = [
            other
            for node in ast.walk(tree)
            if isinstance(node, ast.IfExp) and "QGIS_VERSION_INT >= 33800" in ast.unparse(node.test)
            for other in ast.walk(node.orelse)
        ]
        assert all(node in choices for node in variants), path


def test_every_enum_of_qgis_is_scoped_and_in_this_qgis():
    import qgis.core
    import qgis.gui

    checked = 0
    for path, tree in _sources():
        homes = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in ("qgis.core", "qgis.gui"):
                module = getattr(qgis, node.module.rpartition(".")[2])
                homes.update({name.name: getattr(module, name.name) for name in node.names})
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute):
                continue
            parts = ast.unparse(node).split(".")
            if parts[0] not in homes or len(parts) > 3 or not parts[1][0].isupper():
                continue
            value = homes[parts[0]]
            for part in parts[1:]:
                assert hasattr(value, part), f"{path.name}: {'.'.join(parts)}"
                value = getattr(value, part)
            if parts[1].isupper() and parts[0] == "Qgis":
                continue  # a constant, such as the version
            # Of two parts only the class of an enum is whole.
            assert len(parts) == 3 or isinstance(value, type), f"{path.name}: {'.'.join(parts)}"
            checked += 1
    assert checked > 20


def test_bandit_and_detect_secrets_find_nothing(unzipped):
    bandit = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-r", str(unzipped)], capture_output=True, text=True
    )
    assert bandit.returncode == 0, bandit.stdout
    secrets = subprocess.run(
        [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "geochg_qgis"],
        capture_output=True,
        text=True,
        check=True,
        cwd=unzipped.parent,
    )
    assert json.loads(secrets.stdout)["results"] == {}


def qt6_classes():
    """What PyQt6 defines: members by dotted class, from its stubs, by name of the module."""
    (folder,) = find_spec("PyQt6").submodule_search_locations
    known = {}
    for module in ("QtCore", "QtGui", "QtWidgets", "QtTest", "QtXml"):
        tree = ast.parse((Path(folder) / f"{module}.pyi").read_text(encoding="utf-8"))
        members = known.setdefault(module, {})
        _collect(tree, "", members)
    return known


def _collect(node, prefix, members):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            members.setdefault(prefix, set()).add(child.name)
            inner = f"{prefix}.{child.name}" if prefix else child.name
            members[inner] = set()
            _collect(child, inner, members)
        elif isinstance(child, ast.FunctionDef):
            members.setdefault(prefix, set()).add(child.name)
        elif isinstance(child, ast.Assign):
            members.setdefault(prefix, set()).update(
                target.id for target in child.targets if isinstance(target, ast.Name)
            )
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            members.setdefault(prefix, set()).add(child.target.id)


def _sources():
    for path in sorted(FOLDER.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_every_qt_name_is_one_of_qt6():
    known, checked = qt6_classes(), 0
    for path, tree in _sources():
        homes = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
                module = node.module.rpartition(".")[2]
                for name in node.names:
                    # QGIS keeps QVariant's types under Qt 6 itself.
                    if name.name == "QVariant":
                        continue
                    homes[name.name] = module
                    assert name.name in known[module][""], f"{path.name}: {module}.{name.name}"
                    checked += 1
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute):
                continue
            parts = ast.unparse(node).split(".")
            home = homes.get(parts[0])
            # Enum values are three parts: class, enum, value.
            if home and parts[0] in known[home] and len(parts) == 3 and parts[1][0].isupper():
                members = known[home].get(f"{parts[0]}.{parts[1]}")
                assert members is not None, f"{path.name}: {'.'.join(parts)}"
                assert parts[2] in members, f"{path.name}: {'.'.join(parts)}"
                checked += 1
            elif home and parts[0] in known[home] and len(parts) == 2:
                assert parts[1] in known[home][parts[0]] or not parts[1][0].isupper(), (
                    f"{path.name}: {'.'.join(parts)} is not scoped"
                )
    assert checked > 80


def test_nothing_comes_from_a_qt_by_its_own_name():
    for path, tree in _sources():
        for node in ast.walk(tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            assert not [n for n in names if n.startswith(("PyQt", "PySide", "sip"))], path


def test_nothing_but_qgis_and_the_standard_library_is_imported():
    # Processing and GDAL's Python come with QGIS.
    allowed = set(sys.stdlib_module_names) | {"qgis", "processing", "osgeo", "geochg_qgis"}
    for path, tree in _sources():
        for node in ast.walk(tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            assert {name.split(".")[0] for name in names} <= allowed, path
