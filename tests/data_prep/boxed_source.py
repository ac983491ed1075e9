"""A source whose pictures have boxes, in a file of its own: worker processes import it, and nothing else with it."""

from data_prep.sources.source import FolderSource


class BoxedSource(FolderSource):
    """A folder whose pictures have boxes by id, an own map (their green) and one object box each."""

    own_maps = ("green",)

    def __init__(self, folder, boxes):
        super().__init__(folder)
        self._boxes = boxes

    def pictures(self, split):
        return [one._replace(box=self._boxes.get(one.id)) for one in super().pictures(split)]

    def read(self, picture, content=None):
        pixels, _ = super().read(picture)
        return pixels, {"green": pixels[..., 1].astype("float32")}

    def boxes(self, picture):
        return [(0.25, 0.25, 0.75, 0.75)]
