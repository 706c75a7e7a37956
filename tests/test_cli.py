"""The command line, as its users run it: in a process of its own, in a folder of theirs."""

from __future__ import annotations

import csv
import os
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

import fallline as fl
from fallline.cli import main


@pytest.fixture
def fallline(tmp_path):
    """Run `fallline ...` in an empty folder; returns (status, stdout, stderr)."""

    def run(*words, env=None):
        done = subprocess.run(
            [sys.executable, "-m", "fallline", *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "MPLBACKEND": "agg", **(env or {})},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def written(path, header, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def answers(path):
    """The rows of a CSV as dicts."""
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture
def flowers(tmp_path, rng):
    """A table with a text column to learn from two measured ones, far from mean 0 and deviation 1."""
    y = rng.integers(0, 3, 240)
    x = np.c_[5000 + 300 * y, 0.001 * (y == 1)] + rng.normal(size=(240, 2)) * [30, 0.0001]
    rows = [[*map(repr, row.tolist()), ("iris", "rose", "tulip")[c]] for row, c in zip(x, y, strict=True)]
    return written(tmp_path / "flowers.csv", ["height", "weight", "kind"], rows)


def test_train_without_arguments_learns_digits(fallline, tmp_path):
    pytest.importorskip("sklearn")
    status, out, err = fallline("train")
    assert status == 0, err
    accuracy = float(re.search(r"test accuracy ([\d.]+)%", out)[1])
    assert accuracy >= 97
    assert "samples per second" in out
    assert "Dense" in out  # the summary
    assert (tmp_path / "digits.safetensors").is_file()
    assert "digits.safetensors" in out
    images, labels = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    model = fl.load_model(tmp_path / "digits.safetensors")
    assert (model.predict(images.astype(np.uint8)).argmax(axis=1) == labels).mean() > 0.97


def test_train_draws_a_picture(fallline, tmp_path, flowers):
    pytest.importorskip("matplotlib")
    status, out, err = fallline("train", "--data", flowers, "--target", "kind", "--epochs", 3)
    assert status == 0, err
    assert (tmp_path / "flowers.png").read_bytes().startswith(b"\x89PNG")
    assert "flowers.png" in out


def test_a_table_of_classes(fallline, tmp_path, flowers):
    status, out, err = fallline(
        "train", "--data", flowers, "--target", "kind", "--layers", "16,8", "--epochs", 40,
        "--optimizer", "adam",
        "--learning-rate", 0.01, "--batch-size", 16, "--seed", 3, "--output", "f.safetensors",
    )  # fmt: skip
    assert status == 0, err
    assert float(re.search(r"accuracy ([\d.]+)%", out)[1]) > 95
    model = fl.load_model(tmp_path / "f.safetensors")
    assert model.seed == 3
    assert [layer.units for layer in model.layers if isinstance(layer, fl.Dense)] == [16, 8, 3]

    # prediction takes raw rows, with or without the answers, columns in any order
    _, *rows = list(csv.reader(flowers.read_text().splitlines()))
    swapped = written(tmp_path / "new.csv", ["weight", "height"], [[w, h] for h, w, _ in rows])
    assert fallline("predict", "f.safetensors", swapped, "--output", "p.csv")[0] == 0
    predicted = answers(tmp_path / "p.csv")
    assert np.mean([p["prediction"] == row[2] for p, row in zip(predicted, rows, strict=True)]) > 0.95
    assert all(0 < float(p["probability"]) <= 1 for p in predicted)
    status, out, _ = fallline("predict", "f.safetensors", flowers)
    assert status == 0
    assert "accuracy" in out
    assert (tmp_path / "predictions.csv").is_file()


def test_a_table_of_values(fallline, tmp_path, rng):
    x = rng.normal(size=(300, 3)) * [1, 100, 0.01] + [0, 5000, 0]
    y = 1e4 + 300 * x[:, 0] - 2 * x[:, 1]
    path = written(tmp_path / "prices.csv", ["a", "b", "c", "price"], np.c_[x, y].tolist())
    options = ("--epochs", 60, "--layers", "16", "--learning-rate", 0.01)
    status, out, err = fallline("train", "--data", path, "--target", "price", *options)
    assert status == 0, err
    assert float(re.search(r"R² (-?[\d.]+)", out)[1]) > 0.95
    assert fallline("predict", "prices.safetensors", path)[0] == 0
    predicted = [float(row["prediction"]) for row in answers(tmp_path / "predictions.csv")]
    assert np.corrcoef(predicted, y)[0, 1] > 0.97
    assert np.mean(predicted) == pytest.approx(y.mean(), abs=0.1 * y.std())


def test_the_same_seed_gives_the_same_model(fallline, tmp_path, flowers):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        options = ("--epochs", 3, "--seed", seed, "--output", f"{name}.safetensors", "--quiet")
        status, out, _ = fallline("train", "--data", flowers, "--target", "kind", *options)
        assert (status, out) == (0, "")
    a, b, c = (fl.load_model(tmp_path / f"{name}.safetensors").get_weights()[0] for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def write_idx(path, array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_idx_folders_and_npz(fallline, tmp_path, rng):
    labels = rng.integers(0, 3, 200)
    images = rng.integers(0, 50, (200, 4, 4)) + 60 * labels[:, None, None]
    folder = tmp_path / "tiles"
    folder.mkdir()
    for name, part in (("train", slice(150)), ("t10k", slice(150, None))):
        write_idx(folder / f"{name}-images-idx3-ubyte", images[part])
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels[part])
    np.savez(tmp_path / "tiles.npz", X=images.reshape(200, 16).astype(np.float64), y=labels)
    for data in (folder, tmp_path / "tiles.npz"):
        options = ("--epochs", 20, "--layers", "16", "--learning-rate", 0.01, "--output", "t.safetensors")
        status, out, err = fallline("train", "--data", data, *options, "--force")
        assert status == 0, err
        assert float(re.search(r"accuracy ([\d.]+)%", out)[1]) > 90
        status, out, err = fallline("predict", "t.safetensors", data, "--force")
        assert status == 0, err
        assert float(re.search(r"accuracy ([\d.]+)%", out)[1]) > 90


@pytest.mark.slow
def test_bench_agrees_with_numpy(fallline):
    status, out, err = fallline("bench", "--seconds", 1)
    assert status == 0, err
    assert "they agree" in out
    assert "NumPy" in out


def test_info_prints_the_configuration(fallline):
    status, out, _ = fallline("info")
    assert status == 0
    for word in ("version", "compiler", "target", "threads", fl.__version__):
        assert word in out


def test_help_and_version(fallline):
    status, out, _ = fallline("--help")
    assert status == 0
    for command in ("train", "predict", "bench", "info"):
        assert command in out
        assert fallline(command, "--help")[0] == 0
    assert fallline("--version")[1].split() == ["fallline", fl.__version__]


BAD = [
    (["train", "--data", "nowhere.csv", "--target", "y"], "nowhere.csv"),
    (["train", "--data", "bad.csv"], "--target"),
    (["train", "--data", "bad.csv", "--target", "z"], "'z'"),
    (["train", "--data", "bad.csv", "--target", "y"], "line 3"),
    (["train", "--data", "short.csv", "--target", "y"], "line 3"),
    (["train", "--data", "empty.csv", "--target", "y"], "empty.csv"),
    (["train", "--data", "text.npz"], "text.npz"),
    (["train", "--data", "notes.txt"], "notes.txt"),
    (["train", "--data", "folder"], "folder"),
    (["train", "--target", "y"], "--target"),
    (["train", "--data", "good.csv", "--target", "y", "--optimizer", "adm"], "adam"),
    (["train", "--data", "good.csv", "--target", "y", "--activation", "rleu"], "relu"),
    (["train", "--data", "good.csv", "--target", "y", "--layers", "0"], "units"),
    (["train", "--data", "good.csv", "--target", "y", "--layers", "a,b"], "--layers"),
    (["train", "--data", "good.csv", "--target", "y", "--epochs", "many"], "--epochs"),
    (["train", "--data", "good.csv", "--target", "y", "--epochs", "-1"], "epochs"),
    (["train", "--data", "good.csv", "--target", "y", "--batch-size", "0"], "batch_size"),
    (["train", "--data", "good.csv", "--target", "y", "--learning-rate", "-1"], "learning_rate"),
    (["train", "--data", "good.csv", "--target", "y", "--dropout", "1"], "rate"),
    (["train", "--data", "good.csv", "--target", "y", "--validation-split", "2"], "--validation-split"),
    (
        ["train", "--data", "good.csv", "--target", "y", "--output", "no/where.safetensors"],
        "where.safetensors",
    ),
    (["train", "--nonsense"], "--nonsense"),
    (["predict", "good.csv", "good.csv"], "good.csv"),
    (["predict", "nowhere.safetensors", "good.csv"], "nowhere.safetensors"),
    (["fly"], "fly"),
    ([], "COMMAND"),
]


@pytest.mark.parametrize(
    "words, named", BAD, ids=lambda v: " ".join(v[:1] + v[-2:]) if isinstance(v, list) else ""
)
def test_bad_usage_is_one_line_and_writes_nothing(words, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "good.csv", ["x", "y"], [[i, i % 2] for i in range(40)])
    written(tmp_path / "bad.csv", ["x", "y"], [[1, 2], ["one", 2]])
    written(tmp_path / "short.csv", ["x", "y"], [[1, 2], [1]])
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "text.npz").write_text("text")
    (tmp_path / "notes.txt").write_text("x,y\n1,2\n")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(words) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert named in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_of_other_columns_is_refused(fallline, tmp_path, flowers):
    fallline("train", "--data", flowers, "--target", "kind", "--epochs", 1, "--output", "f.safetensors")
    other = written(tmp_path / "other.csv", ["height", "age"], [[1, 2]])
    status, _, err = fallline("predict", "f.safetensors", other)
    assert status == 2
    assert "weight" in err
    assert not (tmp_path / "predictions.csv").exists()


def test_a_closed_pipe_is_no_crash(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m fallline info | head -c 1",
        check=False,
        shell=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
