"""Damages of files, drawn by seed, and what a reader may make of them."""

import contextlib
import random
import signal

from saliency_keras.console import UserError

SECONDS = 60  # that one reader may take, however busy the machine is


def damages(content, count, seed, foreign=()):
    """Yields damaged contents: one bit, several bits, bytes overwritten, cut off, made longer, zeroed, another file.

    Args:
        content: Bytes.
        count: How many.
        seed: Seed of the draw.
        foreign: Contents of files of the same name from elsewhere.
    """
    draw = random.Random(seed)
    for number in range(count):
        damaged, kind = bytearray(content), number % 8
        start = draw.randrange(len(damaged))
        if kind in (0, 1, 2):  # the likeliest damage, and the hardest to see
            damaged[start] ^= 1 << draw.randrange(8)
        elif kind == 3:
            for _ in range(draw.randint(2, 8)):
                damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        elif kind == 4:
            piece = draw.randbytes(draw.randint(1, 40))
            damaged[start : start + len(piece)] = piece
        elif kind == 5:
            del damaged[start:]
        elif kind == 6:
            damaged[start : start + draw.randint(1, 512)] = bytes(draw.randint(1, 512))
        elif foreign and number % 16 == 15:
            damaged = bytearray(draw.choice(foreign))
        else:
            damaged += draw.randbytes(draw.randint(1, 300))
        if damaged != content:
            yield bytes(damaged)


@contextlib.contextmanager
def time_limit(seconds=SECONDS):
    """Fails what takes longer."""

    def late(number, frame):
        raise AssertionError(f"nothing after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(read):
    """What a reader gives, or `None` where it refuses in one sentence; anything else it raises is raised."""
    with time_limit():
        try:
            return read()
        except UserError as error:
            sentence = str(error)
            assert sentence, "a sentence says something"
            assert "\n" not in sentence, sentence
            return None
