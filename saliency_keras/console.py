"""What every command shares: its parser, errors that a user can correct, progress bars, quiet logs.

Nothing here imports Keras or TensorFlow, so that `--help` answers at once.
"""

import argparse
import contextlib
import functools
import importlib.util
import inspect
import os
import shlex
import sys
import textwrap
from pathlib import Path

_called_as = None  # how the entry point called the command: "saliency-keras train"


class UserError(ValueError):
    """A mistake that the user can correct: one sentence, exit code 2, no traceback."""


def parser(module, document, **options):
    """The argument parser of a command: its usage line names the command as it was called.

    Args:
        module: Name of the command's module, `__spec__.name`.
        document: The module's docstring, whose first line says what the command does.
        **options: Passed to `argparse.ArgumentParser`.

    Returns:
        The `argparse.ArgumentParser`, without arguments yet.
    """
    return argparse.ArgumentParser(_called_as or f"python -m {module}", description=document.splitlines()[0], **options)


def in_python(function, parser, *positional, without=()):
    """Makes a function of a command's parsed options callable from Python, the options being keyword arguments.

    Names and defaults are the command's, so that the two cannot differ.

    Args:
        function: Takes an `argparse.Namespace`. The result takes over its docstring.
        parser: Function that makes the command's parser.
        *positional: Names of the positional arguments, all of which must be given.
        without: Names of options that are for the command alone.

    Returns:
        The function; its `__signature__` has what it takes.
    """
    defaults = vars(parser().parse_args(["-"] * len(positional)))
    named = [name for name in defaults if name not in (*positional, *without)]
    signature = inspect.Signature([
        *(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in positional),
        *(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name]) for name in named),
    ])  # fmt: skip

    @functools.wraps(function)
    def verb(*arguments, **options):
        given = signature.bind(*arguments, **options).arguments
        return function(argparse.Namespace(**{**defaults, **given}))

    verb.__signature__ = signature
    verb.__name__ = verb.__qualname__ = function.__name__.strip("_")
    return verb


def command_line():
    """The command line that started this process; of a notebook or a script, the name of its program alone."""
    if _called_as:
        return f"{_called_as} {shlex.join(sys.argv[1:])}"
    main = getattr(sys.modules["__main__"], "__spec__", None)
    if main and main.name.partition(".")[0] == __package__:
        return shlex.join(["python", "-m", main.name, *sys.argv[1:]])
    return Path(sys.argv[0]).name


def run(main, called_as=None):
    """Runs a command's `main` as a program: exit code 0, or 2 with one sentence for a mistake of the user.

    Args:
        main: Function without arguments. A `UserError` it raises is printed as a sentence; so is an
            `OSError` (no space, no permission, a path that is a file) and a `MemoryError`. Any other exception is a
            defect of the program and keeps its traceback.
        called_as: How the command was called, for its usage line; `None` for `python -m` and the module's name.
    """
    global _called_as
    _called_as = called_as
    quiet_tensorflow()
    for stream in (sys.stdout, sys.stderr):
        # A terminal or batch job that knows ASCII only, or a name that is no UTF-8, must not cost a result.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        check_backend()
        main()
    except UserError as error:
        sentence = str(error)
    except ModuleNotFoundError as error:
        if error.name not in BACKENDS:
            raise
        sentence = no_backend(error.name)
    except BrokenPipeError:
        # The reader of our output (`| head`) is gone: not an error, but nothing more can be printed either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        sentence = f"{error.strerror or error}{place}."
    except MemoryError as error:
        reason = f" ({error})" if str(error) else ""
        sentence = f"there is too little memory{reason}; with more of it, the same command goes on where it was."
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
    else:
        return
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def quiet_tensorflow():
    """Keeps TensorFlow's C++ greetings off standard error: now for its logs, and once it is imported for the import.

    Some are printed before any log level is read, so the import itself runs with standard error closed. A Python
    error of the import is raised as ever.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    hooked = any(isinstance(finder, _QuietImport) for finder in sys.meta_path)
    if "tensorflow" not in sys.modules and not hooked:
        sys.meta_path.insert(0, _QuietImport())


class _QuietImport:
    """Import hook that serves one import of `tensorflow`, with standard error closed meanwhile."""

    def find_spec(self, name, path=None, target=None):
        """The spec of `tensorflow` with a loader that is quiet; `None`, which is "not mine", for any other name."""
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            load = spec.loader.exec_module

            def load_quietly(module):
                with _closed_standard_error():
                    load(module)

            spec.loader.exec_module = load_quietly
        return spec


@contextlib.contextmanager
def _closed_standard_error():
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def check_backend():
    """Refuses a `KERAS_BACKEND` that Keras does not know, before it is asked for."""
    if (name := os.environ.get("KERAS_BACKEND")) and name not in BACKENDS:
        raise UserError(f"KERAS_BACKEND is one of {', '.join(BACKENDS)}. Received: {name}")


BACKENDS = ("tensorflow", "jax", "torch")
CHOOSE = "install another backend and name it: KERAS_BACKEND=tensorflow, jax or torch"


def no_backend(name):
    """What to do where Keras' backend of that name is not installed, in one sentence."""
    others = [one for one in BACKENDS if one != name and _is_installed(one)]
    other = f"use one that is installed: KERAS_BACKEND={' or '.join(others)}" if others else CHOOSE
    return f"Keras runs on {name}, which is not installed; install it (`pip install {name}`), or {other}."


def _is_installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # it is being imported, or a test has taken it away
        return False


def say(sentence):
    """Prints a sentence in lines of 100 letters, the further ones indented."""
    print(textwrap.fill(sentence, 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False))


def next_step(name, *words, why=""):
    """The last line of a command: another command worth typing, called as this one was.

    Args:
        name: Name of that command.
        *words: Its arguments, quoted where a shell wants it.
        why: What it does, in a few words.

    Returns:
        `"next: python -m saliency_keras.evaluate runs/fanin3  (accuracy of each class)"`.
    """
    package = "data_prep" if name in ("compact", "add_map", "verify", "beam", "fixations") else __package__
    program = f"{_called_as.rpartition(' ')[0]} {name}" if _called_as else f"python -m {package}.{name}"
    return f"next: {' '.join([program, *map(shlex.quote, map(str, words))])}" + (f"  ({why})" if why else "")


def check_seed(seed):
    """Refuses a seed that Keras and numpy do not both take.

    Args:
        seed: An integer.

    Raises:
        UserError: If it is negative, or 2**32 or more.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed is 0 or more, and less than 2**32. Received: --seed {seed}")


def progress(iterable=None, total=None, label="", unit="picture"):
    """A tqdm progress bar on standard error when a person watches, silence otherwise.

    Args:
        iterable: What to go through, or `None` for a bar that is moved by its `update`.
        total: Number of steps, where the iterable has no length.
        label: What is going on, in a word or two.
        unit: What one step is.

    Returns:
        A `tqdm.tqdm`: an iterable and a context manager.
    """
    from tqdm import tqdm

    return tqdm(iterable, total=total, desc=label, unit=f" {unit}s", disable=not sys.stderr.isatty(), leave=False)
