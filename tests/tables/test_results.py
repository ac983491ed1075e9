"""What stands under every table: what was run, and what made the saliency maps, with its version."""

import types

from saliency_keras.console import UserError
from saliency_keras.tables.results import maps_shown


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
