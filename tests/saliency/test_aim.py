"""AIM: the components are independent, and rare responses carry information."""

import numpy as np
import pytest
from PIL import Image

from data_prep import learn_aim_basis
from data_prep.learn_aim_basis import independent_components
from saliency_keras.saliency import predictor
from saliency_keras.saliency.aim import basis, component_responses, self_information


def test_fastica_unmixes_independent_sources():
    """Sources of known shape, mixed by a known matrix, come back up to order and sign."""
    generator = np.random.default_rng(0)
    count = 20_000
    sources = np.stack([generator.laplace(size=count), generator.uniform(-1, 1, count), generator.standard_t(5, count)])
    mixed = (generator.standard_normal((3, 3)) @ sources).T
    filters, share = independent_components(mixed, 3, generator)
    assert share == pytest.approx(1)
    alike = np.abs(np.corrcoef(filters @ mixed.T, sources)[:3, 3:])
    assert (alike.max(axis=0) > 0.98).all()
    assert sorted(alike.argmax(axis=0)) == [0, 1, 2]


def test_responses_are_the_filters_laid_on_each_place():
    planes = np.random.default_rng(0).random((3, 20, 24)).astype(np.float32)
    filters = basis()
    side = filters.shape[1]
    row, column = 9, 12
    patch = planes[:, row - side // 2 : row + side // 2 + 1, column - side // 2 : column + side // 2 + 1]
    expected = np.einsum("nijc,cij->n", filters, patch)
    found = component_responses(planes).reshape(-1, 20, 24)[:, row, column]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_information_is_minus_log_of_the_share_of_places():
    """Three places in four answer 0, one in four answers 1; with no smoothing these are their probabilities."""
    responses = np.tile(np.array([0, 0, 0, 1], np.float32), 5)[None]
    found = self_information(responses, bins=16, sigma=0.01)[0]
    np.testing.assert_allclose(found, np.tile(-np.log([0.75, 0.75, 0.75, 0.25]), 5), rtol=1e-5)


@pytest.mark.shared_data
def test_the_components_of_photographs_are_less_dependent_than_their_pixels(shared_data):
    """On photographs the basis has not seen its responses are nearly uncorrelated; those of the pixels are not."""
    files = sorted((shared_data / "osie" / "images").iterdir())[:100:10]
    pictures = [np.asarray(Image.open(path).convert("RGB").resize((128, 96)), np.float32) / 255 for path in files]
    responses = np.concatenate([component_responses(picture.transpose(2, 0, 1)) for picture in pictures], axis=1)
    correlations = np.abs(np.corrcoef(responses))[~np.eye(len(responses), dtype=bool)]
    assert correlations.mean() < 0.1
    kurtosis = ((responses - responses.mean(axis=1, keepdims=True)) ** 4).mean(axis=1) / responses.var(axis=1) ** 2
    assert np.median(kurtosis) > 5


def test_a_basis_can_be_learned_from_a_folder(tmp_path, capsys):
    generator = np.random.default_rng(0)
    for number in range(4):
        pixels = generator.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).resize((80, 80), Image.Resampling.BICUBIC).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.jpg").write_bytes(b"")
    out = tmp_path / "basis.npz"
    learn_aim_basis.main([str(tmp_path), "--out", str(out), "--side", "5", "--components", "6"])
    with np.load(out, allow_pickle=False) as file:
        assert file["filters"].shape == (6, 5, 5, 3)
    assert "120 patches" in capsys.readouterr().out


def test_the_rare_texture_is_salient():
    """A patch of vertical stripes in a field of horizontal ones; mirrored, the other way round."""
    stripes = np.where(np.arange(128) // 3 % 2, 200, 60).astype(np.uint8)
    picture = np.tile(stripes[:, None], (1, 128))
    picture[40:72, 80:112] = stripes[80:112]
    (found,) = predictor("aim")(np.stack([picture] * 3, axis=-1)[None])
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 36 <= row < 76
    assert 76 <= column < 116
