"""What a report says, and that it says it safely and by itself."""

import base64
import io
import itertools
import os
import re
import shutil
import sys
from html import parser

import numpy as np
import pytest
from PIL import Image

import jaxcam
from jaxcam import cli, results, storage
from jaxcam.reports import heading, universes

SECTIONS = (
    *("short", "summary", "comparison", "boxes", "thresholds", "curves"),
    *("distributions", "agreement", "decisions", "gallery", "invalid", "glossary"),
    "manifest",
)


class Page(parser.HTMLParser):
    """Tags, ids, links, styles and words of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href"):
                self.links.append(value)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def read(page):
    return Page(page.read_text(encoding="utf-8"))


def saved(result, folder):
    """A run directory of a made-up result."""
    storage.open_run(folder, result.manifest)
    storage.write_shard(folder, 0, result.columns)
    return folder


def test_everything_is_in_the_file(page, read):
    text = page.read_text(encoding="utf-8")
    assert all(link.startswith(("#", "data:")) for link in read.links)
    assert not re.search(r"@import|url\((?!#)", text)
    assert not set(read.tags) & {"iframe", "object", "embed"}
    assert read.tags.count("script") == 1
    assert len(set(read.ids)) == len(read.ids)
    inside = {link[1:] for link in read.links if link.startswith("#")}
    assert inside <= set(read.ids)
    for section in SECTIONS:
        assert section in read.ids
    assert page.stat().st_size < 2e6


def test_names_cannot_break_the_page(page, read, evil):
    text = page.read_text(encoding="utf-8")
    assert evil not in text
    assert "<script>document.title" not in text
    shown = "".join(read.words)
    # As id, class, reason and in the manifest.
    assert shown.count(evil) >= 4
    assert f"cannot be read: {evil}" in shown


def test_undefined_is_said_and_never_zero(page, result):
    text = page.read_text(encoding="utf-8")
    cells = re.findall(r'data-value="">(undefined[^<]*)</td>', text)
    n = len(result.rows_of("cam")) - 1  # One row is invalid.
    assert f"undefined ({n})" in cells
    # dice is undefined for three images.
    assert f"{n - 3} (3)" in text


def test_the_table_holds_what_the_summary_says(read, page, result):
    from jaxcam import tables

    text = page.read_text(encoding="utf-8")
    for record in result.summary():
        if record["metric"] in ("energy_pointing_game", "localization_error"):
            assert tables.cell(record) in text
    words = "".join(read.words)
    assert "cannot be read" in words
    assert "cam leads" in words
    assert "For certain" in words


def test_pictures_are_small_and_real(read):
    pictures = [x for x in read.links if x.startswith("data:image/webp")]
    assert len(pictures) >= 12
    for link in pictures:
        data = base64.b64decode(link.partition(",")[2])
        with Image.open(io.BytesIO(data)) as image:
            assert max(image.size) <= 256
        assert len(data) < 30_000


def test_several_runs_share_a_report(make, tmp_path):
    runs = {
        "one": make(seed=1, evil=False),
        "two": make(seed=2, evil=False, model="other"),
    }
    out = jaxcam.report(runs, tmp_path / "both.html", pictures=1)
    words = "".join(Page(out.read_text(encoding="utf-8")).words)
    for name in ("cam @ one", "cam @ two", "uniform @ two"):
        assert name in words
    assert "shapes_net, other on shapes" in words
    assert "cam @ one against cam @ two" in words
    assert "beats uniform @ one, a map that says nothing, on" in words


def test_without_images_it_says_how_to_get_them(make, tmp_path):
    result = make(evil=False)
    scientific = dict(result.manifest["scientific"])
    scientific["data"] = scientific["data"] | {"name": "my_photos"}
    run = saved(
        results.Result.from_columns(result.columns, {"scientific": scientific}),
        tmp_path / "run",
    )
    out = jaxcam.report(run)
    assert out == run / "report.html"
    page = Page(out.read_text(encoding="utf-8"))
    words = "".join(page.words)
    assert "images of my_photos are not at hand" in words
    assert "--data" in words
    assert not any(link.startswith("data:image/webp") for link in page.links)
    assert "Values" in words
    given = jaxcam.report(run, dataset="shapes:test,n=12")
    assert "data:image/webp" in given.read_text(encoding="utf-8")
    # Where the run found them they need not be given.
    found = {"operational": {"data": {"spec": "shapes:test,n=12"}}}
    again = results.Result.from_columns(
        result.columns, {"scientific": scientific} | found
    )
    given = jaxcam.report(again, tmp_path / "found.html")
    assert "data:image/webp" in given.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="is not the data set of the run"):
        jaxcam.report(run, dataset="shapes:test,n=13")


def test_scored_maps_need_no_model(tmp_path):
    rng = np.random.default_rng(0)
    maps, truth = rng.random((6, 8, 8), np.float32), rng.random((6, 16, 16)) < 0.3
    scored = jaxcam.score(maps, truth, metrics=["energy_pointing_game"])
    with pytest.raises(ValueError, match="where the report is"):
        jaxcam.report(scored)
    out = jaxcam.report(scored, tmp_path / "scored.html")
    words = "".join(Page(out.read_text(encoding="utf-8")).words)
    assert "saved maps" in words
    assert "does not say which images" in words


def test_one_method_alone_has_a_report(make, tmp_path):
    result = make(methods=("cam",), evil=False)
    out = jaxcam.report(result, tmp_path / "one.html", pictures=0)
    page = Page(out.read_text(encoding="utf-8"))
    assert "gallery" not in page.ids
    assert "comparison" not in page.ids
    assert "nothing to compare" in "".join(page.words)


def test_the_same_run_gives_the_same_file(page, result, tmp_path):
    again = jaxcam.report(result, tmp_path / "again.html", pictures=2)
    assert again.read_bytes() == page.read_bytes()


def test_an_untrained_or_unfinished_run_is_stamped(make, tmp_path):
    result = make(evil=False)
    scientific = dict(result.manifest["scientific"])
    scientific["model"] = {"name": "net", "trained": False}
    scientific["data"] = scientific["data"] | {"rows": 20}
    stamped = results.Result.from_columns(result.columns, {"scientific": scientific})
    out = jaxcam.report(stamped, tmp_path / "stamped.html", pictures=0)
    text = out.read_text(encoding="utf-8")
    assert heading.UNTRAINED in text
    assert "8 rows are missing" in text


def test_the_command_writes_it(make, tmp_path, capsys):
    run = saved(make(evil=False), tmp_path / "run")
    command = ["report", str(run), "--pictures", "1", "--by", "localization_error"]
    assert cli.main(command) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "<code>localization_error</code>" in text
    assert cli.main(["report", str(run), "--by", "insertion_curve"]) == 2
    assert "choose one of" in capsys.readouterr().err
    assert cli.main([*command, "--pictures", "0"]) == 2
    assert "by='localization_error' is for the gallery" in capsys.readouterr().err
    assert cli.main(["report", str(run), "--labels", "exact"]) == 2
    assert "says how --data is read" in capsys.readouterr().err
    assert cli.main(["report", str(tmp_path / "nothing")]) == 2
    assert "holds no run" in capsys.readouterr().err


NOTHING = "\N{EN DASH}"


def verdict(question, a, b, share, hangs=(), one_map=False):
    """As `jaxcam multiverse` writes it."""
    text = f"{a} beats {b} in {100 * share:.0f} % of {question} universes."
    return {
        "question": question,
        "a": a,
        "b": b,
        "universes": 2880,
        "one_map": one_map,
        "won": f"{100 * share:.0f} %",
        "lost": f"{100 - 100 * share:.0f} %",
        "hangs": list(hangs),
        "text": "none is better." if one_map else text,
    }


def explored(run, said):
    """Writes verdicts into a run directory as of its shards."""
    asked = {
        "region": ("which map points out the object", ["dice", "localization_error"]),
        "energy": ("which map has its energy there", ["energy_pointing_game"]),
        "model": ("which map says what the model rests on", ["insertion"]),
    }
    sizes = {p.name: p.stat().st_size for p in (run / "shards").glob("*.parquet")}
    record = {
        "questions": {n: {"what": w, "metrics": m} for n, (w, m) in asked.items()},
        "verdicts": said,
        "shards": sizes,
    }
    storage.write_json(run / storage.MULTIVERSE, record)


def reported(run):
    """Words of the report, the parts of a page by id, and its cells."""
    jaxcam.report(run, pictures=0)
    text = (run / "report.html").read_text(encoding="utf-8")
    return " ".join("".join(Page(text).words).split()), text


def rows_of(text, *names):
    """Cells of the table rows that hold all names, in words."""
    rows = re.findall(r"<tr.*?</tr>", text, re.DOTALL)
    words = [re.sub(r"<[^>]+>", " ", row) for row in rows]
    return [" ".join(w.split()) for w in words if all(n in w.split() for n in names)]


def test_every_comparison_has_a_verdict_of_all_conventions_beside_it(make, tmp_path):
    run = saved(make(evil=False), tmp_path / "run")
    words, _ = reported(run)
    assert words.count("jaxcam multiverse RUN says it") == 2
    assert "nder all conventions" not in words
    said = [
        verdict("region", "grad_cam", "cam", 0.71, ["rule", "border"]),
        verdict("region", "cam", "uniform", 0.99),
        verdict("energy", "cam", "grad_cam", 0.6),
        verdict("energy", "cam", "uniform", 0.4, ["region"]),
        verdict("model", "cam", "grad_cam", 0.9),
        verdict("region", "cam", "layer_cam", 0.5, one_map=True),
        verdict("energy", "cam", "layer_cam", 0.5, one_map=True),
        verdict("region", "centre", "cam", 0.8, ["resizing"]),
    ]
    explored(run, said)
    words, text = reported(run)
    assert "jaxcam multiverse RUN" not in words
    # In short, beside both methods and the floor.
    told = "Under all conventions: grad_cam beats cam in 71 % of region universes."
    (short,) = (x for x in re.findall(r"<li>(.*?)</li>", text) if told in x)
    assert short.startswith("cam against grad_cam")
    told = "cam beats uniform in 99 %"
    (short,) = (x for x in re.findall(r"<li>(.*?)</li>", text) if told in x)
    assert short.endswith("Which map has its energy there hangs on region.")
    # In the table of verdicts.
    of_pair = rows_of(text, "cam", "grad_cam", "beats")
    assert len(of_pair) == 1
    assert of_pair[0].endswith("grad_cam beats cam in 71 % of region universes.")
    assert rows_of(text, "grad_cam", "layer_cam")[0].endswith(NOTHING)

    def cell(metric, *pair):
        (row,) = (r for r in rows_of(text, metric, *pair) if r.startswith(metric))
        return row

    # Beside every metric, by the question that it asks, from its own side.
    assert cell("dice", "cam", "grad_cam").endswith(
        "29 % of 2,880; hangs on rule and border"
    )
    assert cell("localization_error", "cam", "uniform").endswith("99 % of 2,880")
    assert cell("energy_pointing_game", "cam", "grad_cam").endswith(" 60 % of 2,880")
    assert cell("insertion", "cam", "grad_cam").endswith("90 % of 2,880")
    assert cell("pointing_game", "cam", "grad_cam").endswith(NOTHING)
    assert cell("dice", "cam", "layer_cam").endswith("one map")
    # And warnings above all: of what is compared here, each once.
    warned = re.findall(r'<p class="warning">(.*?)</p>', text)
    assert warned == [
        "cam and layer_cam are one map up to rounding: what ranks them is an accident.",
        "Which map points out the object hangs on rule and border: cam against "
        "grad_cam. Say which choice was made wherever this is reported.",
        "Which map has its energy there hangs on region: cam against uniform. Say "
        "which choice was made wherever this is reported.",
    ]


def test_warnings_name_pairs_together():
    pairs = list(itertools.combinations("abcdefg", 2))
    said = {
        ("region", frozenset(pair)): verdict("region", *pair, 1.0, ["rule"])
        for pair in pairs[:8]
    }
    said |= {
        ("region", frozenset(pair)): verdict("region", *pair, 0.5, one_map=True)
        for pair in (("c", "d"), ("f", "g"), ("d", "e"), ("c", "e"))
    }
    found = universes.Found(said, {"region": "which map is good"}, {})
    assert universes.warnings(found, pairs) == [
        "c, d and e are one map up to rounding: what ranks them is an accident.",
        "f and g are one map up to rounding: what ranks them is an accident.",
        "Which map is good hangs on rule: a against b; a against c; a against d; a "
        "against e; a against f; a against g; and 2 more. Say which choice was made "
        "wherever this is reported.",
    ]
    assert universes.warnings(found, [("f", "b")]) == []


def test_conventions_of_a_run_that_changed_are_not_shown(make, tmp_path):
    run = saved(make(evil=False), tmp_path / "run")
    explored(run, [verdict("region", "cam", "grad_cam", 0.71)])
    copied = tmp_path / "copied"
    shutil.copytree(run, copied, copy_function=shutil.copyfile)  # All is as new.
    os.utime(copied / storage.MULTIVERSE, ns=(0, 0))
    assert "71 % of region" in reported(copied)[0]
    storage.write_shard(run, 0, make(evil=False, seed=3).columns)
    words, _ = reported(run)
    assert "71 % of region" not in words
    assert "The run has changed since its conventions were gone through" in words
    storage.write_json(run / storage.MULTIVERSE, {"verdicts": []})  # Of an old version.
    assert "The run has changed" in reported(run)[0]


def test_what_is_missing_is_named(make, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ModuleNotFoundError, match=r"jaxcam-eval\[viz\]"):
        jaxcam.report(make(), tmp_path / "x.html")
