"""A finished run applied to photographs: labels, the map its network is shown, and what its choice rests on.

A photograph is prepared as compaction and the validation reader prepare a picture: square, map and stored side by the
framing of the run's data set, then the centre crop. A photograph has no box: all of it is used. A set of codec `jpeg`
loses a little on the way, which a photograph is spared. Drawing is `figures`'.
"""

import dataclasses
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.second_look import framing_of
from saliency_keras.data.shown import CONTROLS, SHUFFLES, Shown, control_map
from saliency_keras.metrics.classification import first_classes, softmax
from saliency_keras.models.grad_cam import GradCam
from saliency_keras.models.network import MAP_LAYER
from saliency_keras.runs.run import Run, network_in
from saliency_keras.saliency import PREDICTORS, predictor

BEST = 5


@dataclasses.dataclass(frozen=True)
class Classified:
    """What a network says of a photograph.

    Attributes:
        classes: Names of the five best classes, best first; fewer where there are fewer.
        probabilities: float array, theirs.
        picture: uint8 `(side, side, 3)`, the picture as the network sees it.
        saliency: `(side, side)`, the map that it is shown or makes itself, or `None`.
        grad_cam: float32 `(side, side)`, Grad-CAM of the best class.
        every: float array, the probabilities of all classes in their order.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    picture: np.ndarray
    saliency: np.ndarray | None
    grad_cam: np.ndarray
    every: np.ndarray = None


class Classifier:
    """The classifier that a finished run is.

    Args:
        folder: The run folder.
        maker: Name of the predictor that makes the map, or `None` for the one that the run's data set names.
        layer: Name of the layer for Grad-CAM, or `None` for the last convolutional one.

    Attributes:
        map_source: Which map the network is shown, in words.
        layer: Name of Grad-CAM's layer.

    Raises:
        UserError: If it is no finished run of a classifier, or the maker or the layer does not fit.
    """

    def __init__(self, folder, maker=None, layer=None):
        run = Run.load(folder)
        self.classes = run.predictions.classes
        self._framing, self.side = framing_of(run.config["data"]), run.settings["side"]
        self._folder, self._network = Path(folder), network_in(folder)
        self._predict, self._on_stored, self._control, self._unmade = None, False, None, ""
        if self._network.shows_map:
            self._choose_map(run, maker)
        elif maker:
            raise UserError(f"the network of {folder} sees no map, so no predictor can be chosen; leave it out.")
        elif self._network.map:
            self.map_source = f"made by the network itself (layer {MAP_LAYER})"
        else:
            self.map_source = "none, the network sees no map"
        try:
            self._grad_cam = GradCam(self._network.classifier, layer)
        except ValueError as error:
            raise UserError(f"{error}.") from None
        self.layer = self._grad_cam.layer

    def __call__(self, pixels):
        """Classifies one photograph.

        Args:
            pixels: uint8 array `(height, width, 3)`, RGB, of any size.

        Returns:
            `Classified`.

        Raises:
            UserError: If the network's scores are not finite, or nothing here can make its map.
        """
        return self.classified(*self.prepared(pixels))

    def classified(self, picture, saliency=None):
        """Classifies a picture that is prepared already, such as one of a data set.

        Args:
            picture: uint8 array `(side, side, 3)`.
            saliency: uint8 array `(side, side)`, where the network is shown a map.

        Returns:
            `Classified`.

        Raises:
            UserError: If the network's scores are not finite.
        """
        inputs = {"image": picture[None]}
        if saliency is not None and self._network.shows_map:
            inputs["saliency"] = saliency[None, ..., None]
        outputs = self._network.named(self._network.model.predict_on_batch(inputs))
        scores = np.asarray(outputs["logits"], "float32")
        if not np.isfinite(scores).all():
            raise UserError(f"the network of {self._folder} gives scores that are no numbers; train it again.")
        first = first_classes(scores, BEST)[0]
        grad_cam = self._grad_cam(inputs, first[:1])[0]
        if self._network.map:
            saliency = np.maximum(self._network.map_as_used(inputs, (self.side, self.side))[0], 0)
        names = tuple(self.classes[index] for index in first)
        every = softmax(scores)[0]
        return Classified(names, every[first], picture, saliency, grad_cam, every)

    def prepared(self, pixels):
        """The picture and the map that the network is shown.

        Args:
            pixels: uint8 array `(height, width, 3)`, RGB, of any size.

        Returns:
            uint8 `(side, side, 3)`, and uint8 `(side, side)` or `None`.

        Raises:
            UserError: If nothing here can make the map that the network was trained with.
        """
        if self._unmade:
            raise UserError(self._unmade)
        square = geometry.square(pixels, self._framing)
        stored = geometry.shrink(square, self._framing.stored)
        saliency = self._control
        if self._predict is not None:
            seen = stored if self._on_stored else square
            saliency = geometry.stored_map(self._predict(np.ascontiguousarray(seen)[None])[0], self._framing.stored)
        start = (self._framing.stored - self.side) // 2
        crop = np.s_[start : start + self.side, start : start + self.side]
        return np.ascontiguousarray(stored[crop]), None if saliency is None else np.ascontiguousarray(saliency[crop])

    def _choose_map(self, run, maker):
        shown = Shown.parse(run.maps)
        name, swap = shown.map, shown.swap
        if swap in CONTROLS and not maker:
            self._control = control_map(swap, self._framing.stored)
            self.map_source = f"{swap}, the same for every picture, as in training"
            return
        name = swap if swap in CONTROLS else name or run.config["data"]["maps"][0]
        made_of = {"name": name} if swap in CONTROLS else _predictor_of(run, name)
        if not maker and (maker := made_of.get("name")) not in PREDICTORS and not Path(str(maker)).is_dir():
            self.map_source = name
            self._unmade = (
                f"the network of {run.folder} was trained with the map {name!r}, which no predictor here makes of a "
                "photograph; name one that comes near it: --predictor NAME."
            )
            return
        self._predict = predictor(maker)
        self._on_stored = "pictures" in made_of
        self.map_source = self._predict.name
        version = made_of.get("version", self._predict.version)
        if (self._predict.name, self._predict.version) != (made_of["name"], version):
            self.map_source += f", version {self._predict.version} (trained with {made_of['name']}, version {version})"
        if swap in SHUFFLES:
            self.map_source += ", the picture's own (trained with those of other pictures)"


def _predictor_of(run, name):
    """What made the map of that name, as the run's data set says, or the map's name where the set is gone."""
    try:
        return run.data_set().map_named(name).predictor
    except UserError:
        return {"name": name}
