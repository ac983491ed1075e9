"""What every command shares: errors a user can mend, progress bars, quiet logs, whole files or none.

Nothing here imports Keras or TensorFlow, so that `--help` answers at once.
"""

import contextlib
import importlib.util
import os
import sys


class UserError(ValueError):
    """Something the person at the keyboard can mend: told in one sentence, exit code 2, no traceback."""


def run(main):
    """Runs a command's `main` as a program: exit code 0, or 2 with one sentence for what a user can mend.

    Args:
        main: Function without arguments. A `UserError` it raises is printed as a sentence; so is an
            `OSError` (no space, no permission, a path that is a file) and a `MemoryError`. Any other exception is a
            defect of the program and keeps its traceback.
    """
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
        sentence = NO_BACKEND.format(error.name)
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
    if "tensorflow" not in sys.modules:
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
NO_BACKEND = (
    "Keras is to run on {}, which is not installed; install it, or name a backend that is: KERAS_BACKEND=tensorflow, "
    "jax or torch."
)


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
