"""The command line on tables as people have them: far numbers, stray text, codes, index columns, odd CSV."""

from __future__ import annotations

import csv
import gzip
import re

import numpy as np
import pandas as pd
import pytest

import fallline as fl
from fallline.cli import main


@pytest.fixture
def fallline(tmp_path, monkeypatch, capsys):
    """Run `fallline ...` in an empty folder; returns (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fallline.cli.train.draw", lambda *_, **__: None)

    def run(*words):
        capsys.readouterr()
        status = main([*map(str, words), "--force"])
        out, err = capsys.readouterr()
        if status:
            assert len(err.splitlines()) == 1, err
        return status, out, err

    return run


def written(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def predictions(folder, column="prediction"):
    return [row[column] for row in csv.DictReader((folder / "predictions.csv").read_text().splitlines())]


QUICK = ("--layers", "8", "--epochs", 2)


# --- numbers far from 0 ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_timestamps_keep_their_digits(dtype, fallline, tmp_path, rng):
    t = 1.7e9 + rng.uniform(0, 600, 2000)
    written(
        tmp_path / "t.csv", ["time", "y"], zip(map(repr, t.tolist()), np.sin((t - 1.7e9) / 60), strict=True)
    )
    options = ("--layers", "32,32", "--epochs", 120, "--learning-rate", 0.005, "--dtype", dtype)
    status, out, err = fallline("train", "--data", "t.csv", "--target", "y", *options)
    assert status == 0, err
    assert float(re.search(r"R² (-?[\d.]+)", out)[1]) > 0.99
    status, out, _ = fallline("predict", "t.safetensors", "t.csv")
    assert float(re.search(r"R² (-?[\d.]+)", out)[1]) > 0.99
    np.savez(tmp_path / "t.npz", X=t[:, None], y=np.sin((t - 1.7e9) / 60))
    status, out, err = fallline("train", "--data", "t.npz", *options, "--output", "n.safetensors")
    assert float(re.search(r"R² (-?[\d.]+)", out)[1]) > 0.99
    model = fl.load_model(tmp_path / "t.safetensors")
    answers = model.predict(t[:, None])[:, 0]  # raw rows, from Python too
    assert np.corrcoef(answers, np.sin((t - 1.7e9) / 60))[0, 1] > 0.99


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e160, 1e-160])
def test_numbers_whose_squares_are_beyond_floats(size, fallline, tmp_path, rng):
    x = rng.normal(size=400)
    written(tmp_path / "t.csv", ["x", "y"], [[repr(size * v), repr(size * (2 * v + 3))] for v in x.tolist()])
    status, out, err = fallline("train", "--data", "t.csv", "--target", "y", "--layers", "8", "--epochs", 60)
    assert status == 0, err
    assert float(re.search(r"R² (-?[\d.]+)", out)[1]) > 0.99
    assert fallline("predict", "t.safetensors", "t.csv")[0] == 0
    found = np.array(predictions(tmp_path), float) / size
    assert np.corrcoef(found, 2 * x + 3)[0, 1] > 0.99


# --- what a target is ---

PRICES = [str(1000 + 7 * i) for i in range(200)]


@pytest.mark.parametrize("cell", ["on request", "12,5", "1.2.3", "$7", "#DIV/0!"])
def test_text_among_numbers_is_named_with_its_line(cell, fallline, tmp_path):
    answers = [*PRICES[:99], cell, *PRICES[100:]]
    written(tmp_path / "p.csv", ["x", "price"], enumerate(answers))
    for task in ((), ("--task", "regression")):
        status, _, err = fallline("train", "--data", "p.csv", "--target", "price", *task)
        assert status == 2
        assert f"line 101, column 'price': is {cell!r}" in err.replace(
            "column 'price' is", "column 'price': is"
        )
    few = [str(i % 5) for i in range(199)]
    written(tmp_path / "f.csv", ["x", "grade"], enumerate([*few, cell]))
    assert fallline("train", "--data", "f.csv", "--target", "grade", *QUICK)[0] == 2
    status, out, _ = fallline(
        "train", "--data", "f.csv", "--target", "grade", *QUICK, "--task", "classification"
    )
    assert status == 0
    assert "6 classes" in out


@pytest.mark.parametrize("cell", ["#N/A", "", "NaN", "null", "<NA>"])
def test_a_missing_target_is_named_with_its_line(cell, fallline, tmp_path):
    written(tmp_path / "p.csv", ["x", "price"], enumerate([*PRICES[:99], cell, *PRICES[100:]]))
    status, _, err = fallline("train", "--data", "p.csv", "--target", "price")
    assert (status, "line 101, column 'price'" in err) == (2, True)


def test_text_that_never_comes_again_is_no_class(fallline, tmp_path):
    written(tmp_path / "p.csv", ["x", "price"], [(i, f"{i},50") for i in range(300)])
    status, _, err = fallline("train", "--data", "p.csv", "--target", "price")
    assert status == 2
    assert "300 different texts" in err
    written(tmp_path / "n.csv", ["x", "name"], [(i, f"{'ab'[i % 2]}{i % 30}") for i in range(300)])
    status, out, _ = fallline("train", "--data", "n.csv", "--target", "name", *QUICK)
    assert (status, "30 classes" in out) == (0, True)


def test_few_names_may_be_numbers_and_many_may_not(fallline, tmp_path):
    written(tmp_path / "n.csv", ["x", "name"], [(i, ("7up", "cola", "7")[i % 3]) for i in range(90)])
    status, out, _ = fallline("train", "--data", "n.csv", "--target", "name", *QUICK)
    assert (status, "3 classes" in out) == (0, True)
    cells = [
        (i, f"1,{i % 50:03}" if i % 3 else i % 40) for i in range(300)
    ]  # prices, the large ones with commas
    written(tmp_path / "p.csv", ["x", "price"], cells)
    status, _, err = fallline("train", "--data", "p.csv", "--target", "price")
    assert (status, "line 3, column 'price' is '1,001'" in err) == (2, True)


def test_stray_text_in_arrays_is_named_with_its_row(fallline, tmp_path, rng):
    y = np.array([*PRICES[:150], "none"])
    np.savez(tmp_path / "p.npz", X=rng.normal(size=(151, 2)), y=y)
    status, _, err = fallline("train", "--data", "p.npz")
    assert status == 2
    assert "'none' in row 150" in err


CODES = {
    "padded": ["007", "042", "300"],
    "longer than a float": ["12345678901234567890", "12345678901234567891", "22345678901234567890"],
    "plain": ["7", "42", "300"],
    "of floats": ["1.0", "2.0", "3.0"],
    "fractions of a class": ["0.5", "1.5", "2.5"],
    "text": ["no", "yes", "münchen, süd"],
}


@pytest.mark.parametrize("kind", CODES)
def test_classes_come_back_as_they_were_written(kind, fallline, tmp_path, rng):
    names = CODES[kind]
    classes = rng.integers(0, 3, 240)
    rows = [[*(4.0 * np.eye(3)[c] + rng.normal(size=3)), names[c]] for c in classes]
    written(tmp_path / "c.csv", ["a", "b", "c", "code"], rows)
    options = ("--layers", "16", "--epochs", 40, "--learning-rate", 0.01, "--task", "classification")
    status, out, err = fallline("train", "--data", "c.csv", "--target", "code", *options)
    assert status == 0, err
    assert float(re.search(r"accuracy ([\d.]+)%", out)[1]) > 90
    status, out, err = fallline("predict", "c.safetensors", "c.csv")
    assert float(re.search(r"accuracy ([\d.]+)%", out)[1]) > 90
    expected = [name.removesuffix(".0") for name in names]
    assert set(predictions(tmp_path)) == set(expected)
    assert np.mean([p == expected[c] for p, c in zip(predictions(tmp_path), classes, strict=True)]) > 0.9


def test_classes_of_arrays_come_back_as_they_were(fallline, tmp_path, rng):
    codes, words = (np.array(names)[rng.integers(0, 2, 100)] for names in (["007", "042"], ["nord", "süd"]))
    for y in (codes, words, np.char.encode(words, "utf-8")):
        np.savez(tmp_path / "c.npz", X=rng.normal(size=(100, 2)), y=y)
        assert fallline("train", "--data", "c.npz", *QUICK)[0] == 0
        assert fallline("predict", "c.safetensors", "c.npz")[0] == 0
        assert set(predictions(tmp_path)) <= {"007", "042", "nord", "süd"}
    np.savez(tmp_path / "c.npz", X=rng.normal(size=(100, 2)), y=np.ones(100, complex))
    assert "complex128" in fallline("train", "--data", "c.npz", *QUICK)[2]


def test_a_class_may_be_written_as_another_number_later(fallline, tmp_path, rng):
    classes = rng.integers(0, 2, 200)
    x = classes + 0.1 * rng.normal(size=200)
    options = ("--layers", "8", "--epochs", 40, "--learning-rate", 0.05)
    for trained, later in (
        (["0", "1"], ["0.0", "1.0"]),
        (["007", "042"], ["7", "42"]),
        (["1", "2"], ["01", "02"]),
    ):
        written(tmp_path / "c.csv", ["x", "y"], [[v, trained[c]] for v, c in zip(x, classes, strict=True)])
        written(tmp_path / "n.csv", ["x", "y"], [[v, later[c]] for v, c in zip(x, classes, strict=True)])
        assert fallline("train", "--data", "c.csv", "--target", "y", *options)[0] == 0
        _, out, _ = fallline("predict", "c.safetensors", "n.csv")
        assert float(re.search(r"accuracy ([\d.]+)%", out)[1]) > 95


# --- columns ---


@pytest.fixture
def houses(rng):
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    return frame.assign(price=lambda f: 3 * f["a"] - f["c"])


def test_an_index_without_a_name_is_no_column_to_learn_from(houses, fallline, tmp_path):
    houses.to_csv(tmp_path / "once.csv")
    pd.read_csv(tmp_path / "once.csv").to_csv(tmp_path / "twice.csv", index=False)  # "Unnamed: 0"
    houses.to_csv(tmp_path / "without.csv", index=False)
    weights = []
    for name in ("without", "once", "twice"):
        status, out, err = fallline("train", "--data", f"{name}.csv", "--target", "price", *QUICK)
        assert status == 0, err
        assert "3 columns" in out
        assert ("without the first" in out) == (name != "without")
        model = fl.load_model(tmp_path / f"{name}.safetensors")
        assert model.names.columns == ("a", "b", "c")
        weights.append(model.get_weights())
        for data in ("without", "once", "twice"):
            status, _, err = fallline("predict", f"{name}.safetensors", f"{data}.csv")
            assert status == 0, err
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_python_and_the_command_line_know_the_names_of_columns(houses, fallline, tmp_path):
    houses.to_csv(tmp_path / "h.csv", index=False)
    fallline("train", "--data", "h.csv", "--target", "price", *QUICK)
    model = fl.load_model(tmp_path / "h.safetensors")
    raw = houses[["a", "b", "c"]]
    np.testing.assert_array_equal(model.predict(raw[["c", "a", "b"]]), model.predict(raw.to_numpy()))
    own = fl.Model([fl.Dense(1)], seed=0)
    own.compile("adam", "mse")
    own.fit(raw[["c", "a", "b"]], houses["price"])
    own.save(tmp_path / "own.safetensors")
    status, _, err = fallline("predict", "own.safetensors", "h.csv")  # among other columns, in another order
    assert status == 0, err
    found = np.array(predictions(tmp_path, "output_0"), float)
    np.testing.assert_allclose(found, own.predict(raw)[:, 0], rtol=1e-6)
    houses.drop(columns="b").to_csv(tmp_path / "less.csv", index=False)
    assert "'b'" in fallline("predict", "own.safetensors", "less.csv")[2]


METADATA = [
    {"task": "regression"},
    {"task": 3, "columns": 5, "target": []},
    {"columns": ["x"], "target": "nothing", "classes": None, "command line": {"kind": 1}},
]


@pytest.mark.parametrize("metadata", METADATA, ids=str)
def test_metadata_is_the_users_own(metadata, houses, fallline, tmp_path):
    houses.to_csv(tmp_path / "h.csv", index=False)
    fallline("train", "--data", "h.csv", "--target", "price", *QUICK)
    fallline("predict", "h.safetensors", "h.csv")
    expected = predictions(tmp_path)
    model = fl.load_model(tmp_path / "h.safetensors")
    assert model.metadata == {}
    model.metadata = metadata
    model.save(tmp_path / "h.safetensors")
    status, out, _ = fallline("predict", "h.safetensors", "h.csv")
    assert (status, "R²" in out, predictions(tmp_path)) == (0, True, expected)
    plain = fl.Model([fl.Input(3), fl.Dense(2)])
    plain.metadata = metadata
    plain.save(tmp_path / "plain.safetensors")
    houses[["a", "b", "c"]].to_csv(tmp_path / "x.csv", index=False)
    assert fallline("predict", "plain.safetensors", "x.csv")[0] == 0
    assert len(predictions(tmp_path, "output_1")) == 200


@pytest.mark.parametrize(
    "note", [5, {}, {"kind": "regression"}, {"kind": "x", "classes": 3}, {"kinds": []}], ids=str
)
def test_notes_of_another_hand_are_one_sentence(note, houses, fallline, tmp_path):
    houses[["a", "b", "c"]].to_csv(tmp_path / "x.csv", index=False)
    model = fl.Model([fl.Input(3), fl.Dense(2)])
    model.notes["command line"] = note
    model.save(tmp_path / "m.safetensors")
    status, _, err = fallline("predict", "m.safetensors", "x.csv")
    assert (status, "MODEL" in err) == (2, True)


# --- how a table is written ---


def table(text, name="t.csv"):
    return lambda folder: (folder / name).write_bytes(text.encode()) and name


ROWS = "".join(f"{i},{i % 7},{i * 3}\n" for i in range(60))
SEMICOLONS, TABS = ROWS.replace(",", ";"), ROWS.replace(",", "\t")
WRITTEN = {
    "plain": table("a,b,y\n" + ROWS),
    "quoted names with delimiters": table('"a; in m; or so","b;c;d",y\n' + ROWS),
    "quoted names with line breaks": table('"a\n;;;;","b",y\n' + ROWS),
    "quoted names with commas": table('"a, in m";"b, c, d, e";y\n' + SEMICOLONS),
    "bare names with commas": table("a, in m, or so;b, c, d;y\n" + SEMICOLONS),
    "tabs beside commas": table('"1,2,3"\tb\ty\n' + TABS),
    "blank lines at first": table("\n  \n\na,b,y\n" + ROWS),
    "blank lines in between": table("a,b,y\n\n" + ROWS.replace("\n7,", "\n \t\n\n7,") + "\n\n"),
    "a byte order mark": table("\ufeffa,b,y\n" + ROWS),
    "carriage returns": table("a,b,y\r\n" + ROWS.replace("\n", "\r\n")),
    "no last line break": table("a,b,y\n" + ROWS[:-1]),
    "large letters": table("a,b,y\n" + ROWS, "T.CSV"),
}


def packed(folder):
    (folder / "T.Csv.GZ").write_bytes(gzip.compress(("a,b,y\n" + ROWS).encode()))
    return "T.Csv.GZ"


@pytest.mark.parametrize("write", [*WRITTEN.values(), packed], ids=[*WRITTEN, "large letters, packed"])
def test_tables_however_they_are_written(write, fallline, tmp_path):
    name = write(tmp_path)
    status, out, err = fallline("train", "--data", name, "--target", "y", *QUICK)
    assert status == 0, err
    assert "48 rows for training, 12 for validation; 2 columns; regression" in out
    model = f"{name.split('.')[0]}.safetensors"
    status, out, err = fallline("predict", model, name)
    assert (status, "60 rows" in out) == (0, True), err


def test_a_single_column_with_blank_lines(fallline, tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i},{2 * i}\n" for i in range(50)))
    fallline("train", "--data", "t.csv", "--target", "y", *QUICK)
    (tmp_path / "new.csv").write_text("\nx\n1\n\n2\n \n3\n")
    assert fallline("predict", "t.safetensors", "new.csv")[0] == 0
    assert len(predictions(tmp_path)) == 3


@pytest.mark.parametrize("text", ["", "\n", " \n\n \n", '"', "a,b,y\n", "\x00"], ids=repr)
def test_tables_of_nothing_are_one_sentence(text, fallline, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    status, _, err = fallline("train", "--data", "t.csv", "--target", "y")
    assert (status, "t.csv" in err) == (2, True)
