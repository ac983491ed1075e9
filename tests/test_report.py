"""`report`: one page with every run's figures, comparison and classes, names as text, nothing from outside."""

import html
import json
import re
import shutil
import subprocess

import pytest

from saliency_keras.console import UserError
from saliency_keras.figures import report as document
from saliency_keras.figures.document import Caution, Heading, Table
from saliency_keras.figures.verdict import what_is_compared
from saliency_keras.report import main
from saliency_keras.runs.run import Run
from tests.runs_fixture import CLASSES, write_run


@pytest.fixture
def runs(tmp_path):
    return [small(write_run(tmp_path / name, name, skill=skill)) for name, skill in (("rgb", 1.2), ("fanin3", 1.6))]


def small(folder, **entries):
    """The run with narrow dense layers, so that its diagram is drawn in no time, and other entries of `config.json`."""
    config = json.loads((folder / "config.json").read_text())
    config["experiment"]["arguments"]["dense_units"] = 8
    (folder / "config.json").write_text(json.dumps(config | entries))
    return folder


def test_a_run_that_is_not_finished_stands_in_a_caution_and_in_the_curves(tmp_path, runs, capsys):
    going = write_run(tmp_path / "noconv2", "noconv2", epochs=3)
    config = json.loads((going / "config.json").read_text())
    config["experiment"]["schedule"]["epochs"] = 12
    (going / "config.json").write_text(json.dumps(config))
    for name in ("summary.json", "predictions.h5"):
        (going / name).unlink()
    blocks = document.report([*map(Run.load, runs), Run.load(going, begun=True)])
    (told,) = (block.text for block in blocks if isinstance(block, Caution))
    assert "noconv2 · own maps · imagenette · seed 0: epoch 3 of 12, stopped: Top-1 " in told
    assert told.endswith("so far; it is not compared yet.")
    main([str(going), "--out", str(tmp_path / "going.html")])
    assert "<h1>How far is noconv2?</h1>" in (tmp_path / "going.html").read_text(encoding="utf-8")
    assert "epoch 3 of 12, stopped: Top-1 " in capsys.readouterr().out


def test_two_runs_are_shown_and_compared_with_the_first(tmp_path, runs, capsys):
    out = tmp_path / "page.html"
    main([*map(str, runs), "--out", str(out)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == str(out)
    assert printed[1] == "fanin3 against rgb: a positive difference means that fanin3 is better."
    assert printed[2].startswith("fanin3 is ")
    assert "points above rgb (95 % interval" in printed[2]
    assert printed[3].startswith("next: ")
    text = out.read_text(encoding="utf-8")
    assert "<title>Is fanin3 better than rgb on imagenette?</title>" in text
    answer = printed[2].replace(" %", "&nbsp;%")  # a number and its sign stay in one line
    assert f'<p class="answer">{answer}</p>\n<p>{printed[1]}</p>' in text
    assert "<h2>fanin3 against rgb</h2>" in text
    for folder in runs:
        right = int(Run.load(folder).predictions.correct().sum())
        assert f"<td class=s>{right} of 210</td>" in text
    # Gains, Top-1, Top-5, two confusion matrices, and Fan-in3's diagram; a made-up network `rgb` is not drawn.
    assert text.count("data:image/png;base64,") == 6
    assert "multiply with the map of conv1" in text
    for name in CLASSES:
        assert html.escape(name) in text
    assert "<b>bold</b>" not in text


def test_what_is_compared_with_what_is_one_sentence_for_runs_for_rows_and_for_seeds_of_one_row(tmp_path):
    made = [("rgb", 0), ("rgb", 1), ("fanin3", 0), ("fanin3", 1), ("noconv2", 0)]
    rgb, rgb1, fanin3, other, noconv2 = (
        Run.load(small(write_run(tmp_path / f"{name}{seed}", name, seed=seed))) for name, seed in made
    )
    assert what_is_compared([rgb]) == ""
    assert what_is_compared([rgb, fanin3]) == "fanin3 against rgb: a positive difference means that fanin3 is better."
    both = "fanin3 and noconv2, each against rgb: a positive difference means that rgb is worse."
    assert what_is_compared([rgb, rgb1, fanin3, other, noconv2]) == both
    assert what_is_compared([rgb, rgb1]).startswith("rgb, seed 1 against rgb, seed 0: ")


def test_one_run_has_no_comparison(tmp_path, runs):
    main([str(runs[0]), "--out", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "against" not in text
    assert "What does rgb get right on imagenette?" in text
    assert text.count("data:image/png;base64,") == 6  # five curves and the confusion matrix


def test_how_the_time_was_spent_stands_there_as_far_as_it_was_measured(tmp_path, runs):
    out = tmp_path / "page.html"
    main([str(runs[0]), "--out", str(out)])
    assert "waits for" not in out.read_text(encoding="utf-8")
    summary = json.loads((runs[0] / "summary.json").read_text())
    measured = {"device_busy": None, "waiting": 0.0125, "waiting_for_host": None, "validating": 0.2, "saving": 0}
    (runs[0] / "summary.json").write_text(json.dumps({**summary, **measured}))
    for one in ([runs[0]], runs):
        main([*map(str, one), "--out", str(out)])
        text = out.read_text(encoding="utf-8")
        assert re.findall("<th[^>]*>(waits for [a-z ]*|device trains|validation|saving)</th>", text) == [
            "waits for pictures",
            "validation",
            "saving",
        ]
        assert all(f">{share}</td>" in text for share in ("1.2", "20.0", "0.0"))


def test_what_differs_between_runs_stands_there_and_what_is_alike_does_not(runs):
    config = json.loads((runs[1] / "config.json").read_text())
    config["experiment"]["arguments"] |= {"doubled": False}  # which `rgb` does not have
    (runs[1] / "config.json").write_text(json.dumps(config))
    blocks = document.report([Run.load(folder) for folder in runs])
    (differing,) = (block for block in blocks if isinstance(block, Table) and block.header[0] == "setting")
    assert differing.header == ["setting", "rgb", "fanin3"]
    assert differing.rows == [["network", "rgb", "fanin3"], ["doubled", "–", "false"]]


def test_runs_that_differ_by_seed_are_one_row_of_the_answer_and_are_compared_seed_by_seed(tmp_path):
    made = [("rgb", 0.8, 0), ("rgb", 0.9, 1), ("noconv2", 2.0, 0), ("noconv2", 2.1, 1)]
    runs = [Run.load(small(write_run(tmp_path / f"{n}{s}", n, skill=k, seed=s))) for n, k, s in made]
    top1 = [run.predictions.correct().mean() for run in runs]
    blocks = document.report(runs)
    gain = 100 * (top1[2] + top1[3] - top1[0] - top1[1]) / 2
    assert blocks[0].text == "Is noconv2 better than rgb on imagenette?"
    assert f"noconv2 is {gain:.1f} points above rgb" in blocks[1].text
    assert "2 seeds" in blocks[1].text
    against = [block.text for block in blocks if isinstance(block, Heading) and "against" in block.text]
    assert against == ["noconv2, seed 0 against rgb, seed 0", "noconv2, seed 1 against rgb, seed 1"]


def test_a_run_that_learned_nothing_is_said_so_on_top(tmp_path):
    runs = [Run.load(small(write_run(tmp_path / n, n, skill=k))) for n, k in (("rgb", 0.0), ("noconv2", 2.0))]
    blocks = document.report(runs)
    assert isinstance(blocks[2], Caution)
    assert "rgb is at chance" in blocks[2].text
    assert blocks[0].text == "Is noconv2 better than rgb on imagenette?"


def test_a_place_for_the_page_is_looked_for_first_and_made_last(tmp_path, runs):
    (tmp_path / "file").touch()
    for out, says in ((tmp_path / "file" / "r.html", "is a file"), (tmp_path, "is a folder")):
        with pytest.raises(UserError, match=says):
            main([*map(str, runs[:1]), "--out", str(out)])
    main([*map(str, runs[:1]), "--out", str(tmp_path / "pages" / "r.html")])
    assert (tmp_path / "pages" / "r.html").stat().st_size > 1000


def test_runs_over_other_pictures_are_refused_and_nothing_is_written(tmp_path, runs):
    other = write_run(tmp_path / "other", pictures=203)
    with pytest.raises(UserError, match="cannot be compared"):
        main([str(runs[0]), str(other), "--out", str(tmp_path / "page.html")])
    assert not (tmp_path / "page.html").exists()


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The page in a frame of a given width, which says how it came out in the title of the page around it.
FRAME = """<!DOCTYPE html><iframe id=frame width={width} height=800 srcdoc="{page}"></iframe><script>
const frame = document.getElementById("frame");
frame.onload = () => {{
  const page = frame.contentDocument;
  const drawn = [...page.images].filter(image => image.naturalWidth > 0).length;
  const marked = page.querySelectorAll("b, script, link, object, iframe").length;
  document.title = [page.documentElement.scrollWidth, page.images.length, drawn, marked].join(" ");
}};
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_whole_at_the_width_of_a_phone_and_of_a_desk(tmp_path, runs, width):
    main([*map(str, runs), "--out", str(tmp_path / "page.html")])
    page = html.escape((tmp_path / "page.html").read_text(encoding="utf-8"))
    (tmp_path / "frame.html").write_text(FRAME.format(width=width, page=page), encoding="utf-8")
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words += ["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom", f"file://{tmp_path}/frame.html"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr  # errors, and whatever the page's own policy kept from being fetched
    scrolled, images, drawn, marked = map(int, re.search("<title>(.*?)</title>", done.stdout)[1].split())
    assert scrolled <= width
    assert images == drawn == 6
    assert marked == 0  # names of classes with tags in them are text
