"""Networks that are taught the maps of a compact data set, and nothing about its classes.

SalClassNet's detector is fine-tuned so (Murabito et al. 2017, §5.2, stage (ii)), on the split that its classifier will
be trained on. Pictures whose map is zero everywhere are left out: nobody looked at them.
"""

from saliency_keras.training.tasks.classification import Classification
from saliency_keras.training.tasks.joint import (
    MAP,
    check_cropped_on_host,
    check_loss,
    map_loss,
    map_loss_of,
    places_with_maps,
    with_targets,
)
from saliency_keras.training.tasks.task import Term


class Maps(Classification):
    """A network with the output `map` alone; a `Task`. Arguments and errors as `Classification`."""

    best, smaller_is_better = "val_loss", True

    @staticmethod
    def check(experiment):
        """As `Task.check`."""
        check_loss(experiment)

    def __init__(self, experiment, manifest, seed, folder, augment="host", start=None):
        check_cropped_on_host(experiment, augment)
        super().__init__(experiment, manifest, seed, folder, augment, start)
        self.training, self.validation = (with_targets(batches, (MAP,)) for batches in (self.training, self.validation))

    def _terms(self):
        return {MAP: Term(map_loss(self._experiment.loss))}

    def _taught(self, parts):
        found = super()._taught({name: parts[name] for name in ("train", "validation")})
        shown, seed = self._shown, self._seed
        return {name: (part[0], places_with_maps(self._manifest, *part, shown, seed)) for name, part in found.items()}

    def finish(self, folder):
        """Writes `maps.png`; returns what the summary adds."""
        pictures = {name: self._size(*part) for name, part in self._parts.items()}
        reader = self._reader(*self._parts["validation"])
        return {
            "pictures": pictures,
            **map_loss_of(self.network, self._experiment.loss, reader),
            **self._maps(reader, folder),
        }
