"""The command line beside damaged files, absurd options and odd terminals: the right result, or one sentence."""

from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from fallline.cli import main

CSV = "a,b,y\n" + "".join(f"{i},{i * i % 17},{i % 2}\n" for i in range(400))


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Run `fallline ...`, which must say one sentence, write nothing and return the status."""
    monkeypatch.chdir(tmp_path)

    def run(*words, status=2):
        before = sorted(tmp_path.rglob("*"))
        assert main([str(word) for word in words]) == status
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert sorted(tmp_path.rglob("*")) == before
        return err

    return run


def damaged(content, rng, count):
    """The content with some bytes replaced, cut short, or with a part twice."""
    for _ in range(count):
        bad = bytearray(content)
        kind, at = rng.integers(3), int(rng.integers(len(bad)))
        if kind == 0:
            bad[at] ^= int(rng.integers(1, 256))
        elif kind == 1:
            del bad[at:]
        else:
            bad[at:at] = bad[at : at + 40]
        yield bytes(bad)


def packed_table():
    return gzip.compress(CSV.encode(), mtime=0)


def archive(compressed=True):
    rng, memory = np.random.default_rng(0), io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(memory, X=rng.normal(size=(60, 3)), y=rng.integers(0, 2, 60))
    return memory.getvalue()


def images():
    rng = np.random.default_rng(0)
    header = bytes([0, 0, 8, 2, 0, 0, 0, 60, 0, 0, 0, 9])
    return gzip.compress(header + rng.integers(0, 256, 540).astype(np.uint8).tobytes(), mtime=0)


FILES = {
    "t.csv.gz": packed_table,
    "t.npz": archive,
    "plain.npz": lambda: archive(compressed=False),
    "train-images.gz": images,
}


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_one_sentence(name, tmp_path, rng, capsys, monkeypatch):
    """Or are read, where the damage is in what nobody reads; never a traceback."""
    from fallline.cli.arrays import read_idx, read_npz
    from fallline.cli.tables import read_csv

    path = tmp_path / name
    readers = {
        ".csv.gz": lambda: read_csv(path, "y"),
        ".npz": lambda: read_npz(path),
        ".gz": lambda: read_idx(path),
    }
    read = next(reader for end, reader in readers.items() if name.endswith(end))
    refusals = []
    for bad in damaged(FILES[name](), rng, 400):
        path.write_bytes(bad)
        try:
            read()
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert all(re.match(r".+: .+; expected .+", refusal, re.DOTALL) for refusal in refusals)


def test_the_command_names_a_damaged_file(refused, tmp_path):
    content = bytearray(packed_table())
    content[30] ^= 0xFF
    (tmp_path / "t.csv.gz").write_bytes(content)
    assert "t.csv.gz" in refused("train", "--data", "t.csv.gz", "--target", "y")
    content = bytearray(archive())
    content[100] ^= 0xFF
    (tmp_path / "t.npz").write_bytes(content)
    assert "t.npz" in refused("train", "--data", "t.npz")


def test_an_archive_that_claims_more_than_there_is(refused, tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 9999), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as file:
        file.writestr(
            "X.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"12345678"
        )
    assert "t.npz" in refused("train", "--data", "t.npz")


@pytest.mark.parametrize(
    "layers",
    ["300000,300000", "9999999,9999999", "99999999999999999999", "-5", "1,,2", "", "1e3", ","],
)
def test_absurd_layers_are_one_sentence(layers, refused, tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    err = refused("train", "--data", "t.csv", "--target", "y", f"--layers={layers}")
    assert re.search("layers|units", err)


@pytest.mark.parametrize(
    "option",
    [
        "--batch-size=99999999999999999999",
        "--epochs=99999999999999999999",
        "--seed=99999999999999999999",
        "--seed=-1",
        "--learning-rate=nan",
        "--learning-rate=1e999",
        "--dropout=nan",
        "--validation-split=nan",
        "--validation-split=1e-9",
    ],
)
def test_absurd_options_are_one_sentence(option, refused, tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    name = option.partition("=")[0].lstrip("-")
    err = refused("train", "--data", "t.csv", "--target", "y", option)
    assert re.search(name.replace("-", "[-_]"), err, re.IGNORECASE)


def test_too_little_memory_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("fallline.cli.train._model", full)
    (tmp_path / "t.csv").write_text(CSV)
    assert main(["train", "--data", "t.csv", "--target", "y"]) == 1
    assert "memory" in capsys.readouterr().err


# --- interpreters and terminals ---


def run(folder, *words, flags=(), env=None, code=None):
    start = ["-c", code] if code else ["-m", "fallline", *words]
    done = subprocess.run(
        [sys.executable, *flags, *start],
        check=False,
        capture_output=True,
        cwd=folder,
        timeout=120,
        env={**os.environ, "MPLBACKEND": "agg", **(env or {})},
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


TRAIN = (
    "train",
    "--data",
    "häuser.csv",
    "--target",
    "y",
    "--layers",
    "8",
    "--epochs",
    "2",
    "--task",
    "regression",
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "häuser.csv").write_text(CSV, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "words", [["--help"], *([c, "--help"] for c in ("train", "predict", "bench", "info"))], ids=str
)
def test_help_without_docstrings(words, folder):
    done = run(folder, *words, flags=["-OO"])
    assert done.returncode == 0
    assert done.stdout == run(folder, *words).stdout


def test_training_without_docstrings(folder):
    assert run(folder, *TRAIN, flags=["-OO"]).returncode == 0
    assert run(folder, "predict", "häuser.safetensors", "häuser.csv", flags=["-OO"]).returncode == 0
    assert run(folder, "info", flags=["-OO"]).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_few_letters(encoding, folder):
    done = run(folder, *TRAIN, env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    out = done.stdout.decode(encoding)
    assert re.search(r"R(²|\\xb2) -?[\d.]+", out)
    assert re.search(r"h(ä|\\xe4)user.safetensors", out)
    done = run(folder, "predict", "häuser.safetensors", "nö.csv", env={"PYTHONIOENCODING": encoding})
    assert (done.returncode, b".csv" in done.stderr) == (2, True)


@pytest.mark.parametrize("missing", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "words", [TRAIN, ("train", "--data", "nowhere.csv"), ("fly",), ("--help",), ("info",)], ids=str
)
def test_standard_streams_may_be_missing(missing, words, folder):
    code = f"import sys\nsys.{missing} = None\n"
    code += f"from fallline.cli import main\nstatus = main({list(words)!r})\nsys.exit(status)"
    done = run(folder, code=code)
    assert done.returncode == (2 if words[-1] in ("nowhere.csv", "fly") else 0)
    assert getattr(done, missing) == b""
    if words == TRAIN:
        assert (folder / "häuser.safetensors").exists()
