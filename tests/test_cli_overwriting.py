"""The command line overwrites nothing, its own input least of all, unless it is told to."""

from __future__ import annotations

import importlib.util
import os
import stat

import pytest

import fallline as fl
from fallline.cli import main

TRAIN = ["train", "--data", "shop.csv", "--target", "y", "--epochs", "1", "--layers", "4"]
DRAWS = importlib.util.find_spec("matplotlib") is not None


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A table, and a model of it."""
    monkeypatch.chdir(tmp_path)
    lines = [f"{i},{i % 2},{i % 3}" for i in range(40)]
    (tmp_path / "shop.csv").write_text("\n".join(["x,y,z", *lines]) + "\n")
    model = fl.Model([fl.Input(3), fl.Dense(1)], seed=0)
    model.save("m.safetensors")
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refused(words, named, folder, capsys):
    before = contents(folder)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert named in err
    assert "--force" in err
    assert contents(folder) == before


def test_predict_leaves_what_is_there(folder, capsys):
    rows = (folder / "shop.csv").read_text()
    (folder / "predictions.csv").write_text(rows)
    (folder / "link.csv").symlink_to("shop.csv")
    for data, output in (
        ("predictions.csv", ()),  # the default name, as the input
        ("shop.csv", ()),
        ("shop.csv", ("--output", "shop.csv")),
        ("shop.csv", ("--output", f"../{folder.name}/shop.csv")),
        ("shop.csv", ("--output", "link.csv")),
    ):
        refused(
            ["predict", "m.safetensors", data, *output], (output or ("predictions.csv",))[-1], folder, capsys
        )
    assert main(["predict", "m.safetensors", "shop.csv", "--force"]) == 0
    assert (folder / "predictions.csv").read_text().startswith("output_0\n")
    assert (folder / "shop.csv").read_text() == rows


def test_train_leaves_what_is_there(folder, capsys):
    assert main(TRAIN) == 0
    first = contents(folder)
    assert ("shop.png" in first) == DRAWS
    refused(TRAIN, "shop.safetensors", folder, capsys)
    refused([*TRAIN, "--output", "m.safetensors"], "m.safetensors", folder, capsys)
    assert main([*TRAIN, "--seed", "1", "--force"]) == 0
    second = contents(folder)
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"shop.safetensors"} | ({"shop.png"} if DRAWS else set())


def test_train_draws_no_picture_over_another(folder, capsys):
    (folder / "shop.png").write_bytes(b"of the shop")
    assert main(TRAIN) == 0
    assert "shop.png exists" in capsys.readouterr().out
    assert (folder / "shop.png").read_bytes() == b"of the shop"
    assert fl.load_model("shop.safetensors").outputs == 2


def test_force_follows_links_and_keeps_modes(folder):
    (folder / "far").mkdir()
    (folder / "far/p.csv").write_text("old")
    (folder / "far/p.csv").chmod(0o600)
    (folder / "p.csv").symlink_to("far/p.csv")
    assert main(["predict", "m.safetensors", "shop.csv", "--output", "p.csv", "--force"]) == 0
    assert (folder / "p.csv").is_symlink()
    assert (folder / "far/p.csv").read_text().count("\n") == 41
    assert stat.S_IMODE((folder / "far/p.csv").stat().st_mode) == 0o600
    assert os.listdir(folder / "far") == ["p.csv"]  # noqa: PTH208


def test_the_home_folder_has_a_sign(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert main(["predict", "~/m.safetensors", "~/shop.csv", "--output", "~/p.csv"]) == 0
    assert (folder / "p.csv").is_file()
