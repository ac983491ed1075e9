"""What stands under every table: what was run, and what made the saliency maps, with its version."""

import re
import types

from saliency_keras.console import UserError
from saliency_keras.experiments.tables import TABLES
from saliency_keras.runs.run import Run
from saliency_keras.tables.results import Results, maps_shown
from tests.runs_fixture import write_run


def run(maps, predictors=None, digest="d1"):
    """A stand-in for a run that was shown these maps, of a set that is there or (`None`) gone."""

    def data_set():
        if predictors is None:
            raise UserError("the data set is not there any more.")
        return types.SimpleNamespace(map_named=lambda name: types.SimpleNamespace(predictor=predictors[name]))

    config = {"data": {"digest": digest, "maps": ["gbvs", "second"]}}
    return types.SimpleNamespace(maps=maps, config=config, data_set=data_set)


PREDICTORS = {"gbvs": {"name": "gbvs", "version": 2}, "second": {"name": "aim", "version": 1}}


def test_tables_name_what_made_their_maps_and_its_version_once():
    runs = [run("own", PREDICTORS), run("shuffled", PREDICTORS), run("second:shuffled", PREDICTORS), run(None)]
    assert maps_shown(runs) == ["Saliency maps: gbvs, version 2; second: aim, version 1."]


def test_maps_that_are_the_same_for_all_pictures_and_none_are_not_named():
    assert maps_shown([run("center", PREDICTORS), run("uniform", PREDICTORS), run(None, PREDICTORS)]) == []


def test_a_set_that_is_gone_leaves_the_map_s_name_and_says_that_its_version_is_not_known():
    (told,) = maps_shown([run("own")])
    assert told == "Saliency maps: gbvs (the data set is not here any more, so the version is not known)."


def test_every_figure_of_the_thesis_s_chapter_4_is_drawn_by_a_table_with_its_number_in_the_caption(tmp_path):
    """Figures 4.1 to 4.16; 4.1 and 4.15 are two pictures each."""
    drawn, numbers = {}, []
    for table in TABLES.values():
        if re.match("Thesis, (Table|Figs?[.])", table.title) and table.figures:
            runs = {
                row.name: [Run.load(write_run(tmp_path / row.name, row.experiment, epochs=2))]
                for row in table.rows
                if row.name not in drawn and any(row.name in rows for rows in table.figures.values())
            }
            drawn |= runs
            for figure in Results(table, drawn).curves().values():
                title = figure.get_suptitle()
                number = re.match(r"Thesis, Fig\. 4\.(\d+)", title)
                assert number, title
                numbers.append(int(number[1]))
    assert sorted(numbers) == sorted([*range(1, 17), 1, 15])
