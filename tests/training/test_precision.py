"""`--precision auto`: the processor's own list of instructions decides, a begun run keeps what it has."""

import json

import pytest

from saliency_keras import UserError
from saliency_keras.training import precision
from saliency_keras.training.precision import choose

AVX2 = "processor\t: 0\nmodel name\t: Some Processor\nflags\t\t: fpu sse2 avx avx2 fma\n"
AVX512 = AVX2.replace("avx2", "avx2 avx512f")  # wide, but without bfloat16
BFLOAT16 = AVX2.replace("avx2", "avx2 avx512f avx512_bf16")
AMX = AVX2.replace("avx2", "avx2 amx_bf16 amx_tile")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Has the program see another processor: a function of what `/proc/cpuinfo` says there."""
    monkeypatch.delenv(precision.VARIABLE, raising=False)
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("saliency_keras.saliency.per_picture.accelerators", list)
    return (tmp_path / "cpuinfo").write_text


@pytest.mark.parametrize(
    ("cpuinfo", "taken"),
    [(AVX2, "float32"), (AVX512, "float32"), (BFLOAT16, "bfloat16"), (AMX, "bfloat16")],
    ids=["avx2", "avx512", "avx512_bf16", "amx"],
)
def test_auto_takes_bfloat16_only_where_the_processor_has_instructions_for_it(machine, cpuinfo, taken):
    machine(cpuinfo)
    found, told = choose("auto")
    assert found == taken
    assert told.startswith(f"precision: {taken} (")
    assert ("no instructions" in told) == (taken == "float32")


def test_auto_is_float32_where_the_system_does_not_say(machine):
    assert choose("auto")[0] == "float32"


def test_auto_leaves_networks_that_predict_saliency_in_float32(machine):
    machine(AMX)
    assert choose("auto", learns_from_fixations=True) == ("float32", "")


def test_what_is_asked_for_is_taken_with_a_caution_where_it_is_slow(machine):
    machine(AVX2)
    assert choose("float32") == ("float32", "")
    taken, told = choose("bfloat16")
    assert taken == "bfloat16"
    assert told.startswith("caution: ")
    machine(BFLOAT16)
    assert choose("bfloat16") == ("bfloat16", "")


@pytest.mark.parametrize("begun", ["float32", "bfloat16"])
def test_auto_goes_on_in_the_precision_of_a_begun_run_whatever_the_machine(machine, tmp_path, begun):
    machine(AVX2 if begun == "bfloat16" else BFLOAT16)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps({"precision": begun}))
    assert choose("auto", [tmp_path / "not_there", tmp_path / "run"])[0] == begun
    other = "float32" if begun == "bfloat16" else "bfloat16"
    assert choose(other, [tmp_path / "run"])[0] == other


def test_the_environment_variable_stands_for_auto_and_is_checked(machine, monkeypatch):
    machine(AMX)
    monkeypatch.setenv(precision.VARIABLE, "float32")
    assert choose("auto") == ("float32", "")
    assert choose("bfloat16") == ("bfloat16", "")
    monkeypatch.setenv(precision.VARIABLE, "float16")
    with pytest.raises(UserError, match=r"one of auto, float32, bfloat16.* Received: float16"):
        choose("auto")
