"""What lies where a raster was to be is named, with what to do about it."""

import errno
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import rasterio.shutil
from rasters import texture

from geochg.errors import InputError
from geochg.tiling.source import read_source

ITEM = {"type": "Feature", "stac_version": "1.0.0", "assets": {"B04": {"href": "https://h/b4.tif"}}}


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"<!DOCTYPE html><html><title>Log in</title></html>", "web page", "login"),
        (b"\xef\xbb\xbf\n <HTML><body>404</body></HTML>", "web page", "login"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n", "LFS", "git lfs"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "error message", ""),
        (json.dumps({"features": [ITEM]}).encode(), "STAC item", "B04: https://h/b4.tif"),
        (json.dumps({"features": [{}]}).encode(), "not a raster", "damaged"),
        (json.dumps([1]).encode(), "not a raster", "damaged"),
    ],
)
@pytest.mark.parametrize("name", ["a.tif", "a.json"])
def test_texts_are_told_apart(tmp_path, name, content, message, hint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as told:
        read_source(tmp_path / name)
    assert hint in told.value.hint


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_told(name):
    with pytest.raises(InputError, match="is empty"):
        read_source(name)


@pytest.mark.parametrize("name", [b"\xff.tif", b"gr\xfc\xdfe.tif", b"a\x80"])
def test_names_that_are_not_utf_8(name):
    with pytest.raises(InputError, match="is not UTF-8") as told:
        read_source(os.fsdecode(name))
    assert "rename" in told.value.hint


@pytest.mark.parametrize("prefix", ["/vsizip/", "/vsitar/"])
def test_names_within_archives(make_raster, tmp_path, prefix):
    make_raster("in.tif", texture(20, 20))
    rasterio.shutil.copy(tmp_path / "in.tif", tmp_path / "in.vrt", driver="VRT")
    archive = tmp_path / ("a.zip" if "zip" in prefix else "a.tar")
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for name in ("in.tif", "in.vrt"):
                file.write(tmp_path / name, name)
    else:
        with tarfile.open(archive, "w") as file:
            for name in ("in.tif", "in.vrt"):
                file.add(tmp_path / name, name)
    assert read_source(f"{prefix}{archive}/in.tif").geobox.shape == (20, 20)
    with pytest.raises(InputError, match="virtual raster in an archive") as told:
        read_source(f"{prefix}{archive}/in.vrt")
    assert "unpack" in told.value.hint
    for missing in ("", "/none.tif", "/sub/in.tif"):
        with pytest.raises(InputError, match="cannot open") as told:
            read_source(f"{prefix}{archive}{missing}")
        assert f"{prefix}{archive}/in.tif" in told.value.hint


@pytest.mark.parametrize("suffix", ["zip", "tar", "gz"])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a"), "Permission denied"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "Input/output error"),
    ],
)
def test_an_archive_that_may_not_be_read_is_told(tmp_path, monkeypatch, suffix, error, message):
    archive = tmp_path / f"a.{suffix}"
    archive.write_bytes(b"")
    name = f"/vsi{suffix.replace('gz', 'gzip')}/{archive}/in.tif"
    opened = Path.open

    def refuse(path, *args, **more):
        if path == archive:
            raise error
        return opened(path, *args, **more)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError) as told:
        read_source(name)
    assert told.value.message == f"{name} cannot be opened: {message}"
    assert "permissions" in told.value.hint
