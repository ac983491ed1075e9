"""What every command shares: its parser, errors that a user can correct, signals, progress bars, quiet logs.

Nothing here imports Keras or TensorFlow, so that `--help` answers at once.
"""

import argparse
import contextlib
import difflib
import errno
import functools
import gc
import importlib.util
import inspect
import os
import shlex
import signal
import socket
import sys
import textwrap
import threading
from pathlib import Path

WIDTH = 100  # letters in a line of a terminal
_called_as = None  # how the entry point called the command: "saliency-keras train"
_is_program = False  # whether this process is a command, whose signals are the command's
_way_on = ""  # how a command that is stopped goes on
SELDOM = 1000  # collections of young garbage before one of all garbage; ten in Python
PATIENCE = 3  # seconds that a step may still take after a signal; the process is to be gone after five


class UserError(ValueError):
    """A mistake that the user can correct: one sentence, exit code 2, no traceback."""


class Stopped(KeyboardInterrupt):
    """A command that a signal has ended.

    Args:
        number: The signal.
        where: How far the command was, as the beginning of a sentence.
        at_once: Whether the process ends without what libraries do at their end, which may take seconds.
    """

    def __init__(self, number, where="stopped", at_once=False):
        super().__init__(where)
        self.number, self.at_once = number, at_once


def parser(module, document, **options):
    """The argument parser of a command: its usage line names the command as it was called.

    Args:
        module: Name of the command's module, `__spec__.name`.
        document: The module's docstring, whose first line says what the command does.
        **options: Passed to `argparse.ArgumentParser`.

    Returns:
        An `argparse.ArgumentParser` without arguments yet. It takes no abbreviated options, for which an option that
        is added later could be meant, and prints a mistake as one sentence.
    """
    program = _called_as or f"python -m {module}"
    return _Parser(program, description=document.splitlines()[0], allow_abbrev=False, **options)


class _Parser(argparse.ArgumentParser):
    """A parser that takes whole option names only, and says in one sentence what is wrong."""

    def parse_args(self, args=None, namespace=None):
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self.unknown(unknown))
        return options

    def unknown(self, words):
        """What is wrong with words of a command line that the command does not know, as a sentence without its end."""
        named = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not named:
            return f"there is one argument too many: {' '.join(words)}"
        options = sorted(word for word in self._option_string_actions if word.startswith("--"))
        begun = ", ".join(option for option in options if option.startswith(named[0]))
        meant = f"; did you mean {begun}?" if begun else did_you_mean(named[0], options, otherwise="")
        return f"there is no option {named[0]}{meant}"

    def error(self, message):
        end = "" if message.endswith("?") else ";"
        self.exit(2, f"error: {message}{end} `{self.prog} --help` lists the arguments.\n")


def did_you_mean(word, names, most=1, otherwise=".", written=str):
    """The end of a sentence about a name that is unknown: `"; did you mean rgb?"`.

    Args:
        word: The name that was given.
        names: Those that are known.
        most: How many of them are named at most.
        otherwise: The end where none is like it.
        written: Function that writes a name that was found.

    Returns:
        The end of the sentence.
    """
    near = difflib.get_close_matches(str(word), list(map(str, names)), most)
    return f"; did you mean {', '.join(map(str, map(written, near)))}?" if near else otherwise


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
    open_channels()
    quiet_tensorflow()
    # Importing Keras makes half a million objects that stay; Python would look at all of them again and again.
    gc.set_threshold(*gc.get_threshold()[:2], SELDOM)
    try:
        with _ended_by_signals():
            check_backend()
            main()
            sys.stdout.flush()
    except UserError as error:
        sentence = str(error)
    except ModuleNotFoundError as error:
        if error.name not in BACKENDS:
            raise
        sentence = no_backend(error.name)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        reason = " ".join(line.strip() for line in str(error.strerror or error).splitlines())  # HDF5 says it in lines
        sentence = f"{reason}{place}."
    except MemoryError as error:
        reason = f" ({error})" if str(error) else ""
        sentence = f"there is too little memory{reason}; with more of it, the same command goes on where it was."
    except KeyboardInterrupt as stop:
        print(f"\n{_stop_sentence(stop)}", file=sys.stderr, flush=True)
        code = 128 + getattr(stop, "number", signal.SIGINT)
        if getattr(stop, "at_once", False):
            sys.stdout.flush()
            os._exit(code)
        sys.exit(code)
    else:
        return
    print(_to_read(f"error: {sentence}"), file=sys.stderr)
    sys.exit(2)


def open_channels():
    """Makes standard output and error last as long as the process, whatever becomes of their readers.

    A command whose reader is gone (`| head -1`) works on and prints to nowhere. A channel that was closed before the
    start (`2>&-`) is opened to nowhere; a file that is opened later would get its number, and other libraries' logs.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the smallest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # A terminal or batch job that knows ASCII only, or a name that is no UTF-8, must not cost a result.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        if not isinstance(stream, _Channel):
            setattr(sys, name, _Channel(stream))


class _Channel:
    """A text stream that goes on, to nowhere, when its reader is gone."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        with self._outlasting_its_reader():
            self._stream.write(text)
        return len(text)

    def flush(self):
        with self._outlasting_its_reader():
            self._stream.flush()

    @contextlib.contextmanager
    def _outlasting_its_reader(self):
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO, errno.EBADF):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name):
        return getattr(self._stream, name)


@contextlib.contextmanager
def resumable(how):
    """Has a command that a signal ends say how it goes on.

    Args:
        how: The end of the sentence, `"go on with --resume"`.
    """
    global _way_on
    before, _way_on = _way_on, how
    try:
        yield
        _way_on = before
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):  # the sentence is printed later
            _way_on = before
        raise


def _stop_sentence(stop):
    where = str(stop) or "stopped"
    return f"{where}; {_way_on}" if _way_on else where


@contextlib.contextmanager
def _ended_by_signals():
    """Has SIGTERM end the block as SIGINT does: by an exception, so that what is half written is cleared up."""
    global _is_program

    def end(number, frame):
        raise Stopped(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _is_program = signal.signal(signal.SIGTERM, end), True
    try:
        yield
    finally:
        _is_program = False
        signal.signal(signal.SIGTERM, before)


class StopAfterStep:
    """Notes SIGINT and SIGTERM in a block of long steps, so that they end it between two of them.

    A step may take long, in a library that Python's own handlers wait for. A thread therefore listens too: it ends a
    command's process if the step has not ended in time. What is written then is as safe as from any other kill.

    Attributes:
        where: How far the work is, as the beginning of a sentence; set by the one who works.
    """

    def __init__(self):
        self.where, self._number = "stopped", None

    def __enter__(self):
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._note) for one in (signal.SIGINT, signal.SIGTERM)}
            self._read, self._write = socket.socketpair()
            self._write.setblocking(False)
            self._wakeup = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
            threading.Thread(target=self._listen, args=(self._read,), daemon=True).start()
        return self

    def __exit__(self, *error):
        if self._before is None:
            return
        for one, handler in self._before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._write.close()

    def check(self):
        """Raises `Stopped` if a signal has come."""
        if self._number is not None:
            raise Stopped(self._number, self.where, at_once=True)

    def _note(self, number, frame):
        self._number = number

    def _listen(self, read):
        with read:
            while (came := read.recv(1)) and came[0] not in (signal.SIGINT, signal.SIGTERM):
                pass  # another signal
        if came and _is_program:
            self._number = came[0]
            threading.Event().wait(PATIENCE)
            os.write(2, f"\n{_stop_sentence(self.where)}\n".encode())
            os._exit(128 + came[0])


def quiet_tensorflow():
    """Keeps TensorFlow's greetings off standard error: now for its logs, and once it is imported for the import.

    Some are printed before any log level is read, so the import itself runs with standard error closed. A Python
    error of the import is raised as ever.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" in sys.modules:
        _quiet_retracing()
    elif not any(isinstance(finder, _QuietImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietImport())


def _quiet_retracing():
    """Keeps a warning off that TensorFlow gives where five networks in a row predict something for the first time."""
    import logging  # a quarter of this module's own import, and TensorFlow has it already

    logging.getLogger("tensorflow").addFilter(_is_no_retracing)


def _is_no_retracing(record):
    return "triggered tf.function retracing" not in record.getMessage()


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
                with waiting("loading TensorFlow"), _closed_standard_error():
                    load(module)
                _quiet_retracing()

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
    """Prints a sentence in lines of `WIDTH` letters, the further ones indented."""
    print(in_lines(sentence), flush=True)


def tell(sentence):
    """Prints a sentence in lines of `WIDTH` letters where a person watches, in one line into a file or a pipe.

    It is for what a command tells on its way. A path in it would move the line breaks of `say`, and a program that
    looks for a phrase would not find it.
    """
    print(_to_read(sentence), flush=True)


def _to_read(sentence):
    return in_lines(sentence) if is_watched() else sentence


def in_lines(sentence, first="", indent=4):
    """A sentence in lines of `WIDTH` letters; a word that is longer stays whole, and so does `33 %`.

    Args:
        sentence: The sentence.
        first: What stands before it in the first line.
        indent: Spaces before each further line.

    Returns:
        The lines, without a line break at the end.
    """
    layout = {"subsequent_indent": " " * indent, "break_long_words": False, "break_on_hyphens": False}
    together = str(sentence).replace(" %", "\0%")
    return textwrap.fill(together, WIDTH, initial_indent=first, **layout).replace("\0", " ")


def next_step(name, *words, why=""):
    """The last line of a command: another command worth typing, called as this one was; a shell takes it as it is.

    Args:
        name: Name of that command.
        *words: Its arguments, quoted where a shell wants it.
        why: What it does, in a few words.

    Returns:
        `"next: python -m saliency_keras.evaluate runs/fanin3  # accuracy of each class"`, in lines of 100 letters that
        end in a backslash.
    """
    package = "data_prep" if name in ("compact", "add_map", "verify", "beam", "fixations") else __package__
    program = f"{_called_as.rpartition(' ')[0]} {name}" if _called_as else f"python -m {package}.{name}"
    lines = [f"next: {program}"]
    for word in map(shlex.quote, map(str, words)):
        if len(lines[-1]) + len(word) < WIDTH - 2:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    told = " \\\n".join(lines)
    if not why:
        return told
    return f"{told}  # {why}" if len(lines[-1]) + len(why) + 4 <= WIDTH else f"{told}\n    # {why}"


def check_seed(seed):
    """Refuses a seed that Keras and numpy do not both take.

    Args:
        seed: An integer.

    Raises:
        UserError: If it is negative, or 2**32 or more.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed is 0 or more, and less than 2**32. Received: --seed {seed}")


def is_watched():
    """Whether a person watches: standard error is a terminal."""
    return sys.stderr.isatty()


def duration(seconds):
    """A duration for a reader: `"40 s"`, `"12 min"`, `"3.4 h"`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def waiting(what):
    """Shows a person who watches what a silence is for, and takes it away after it: `"loading TensorFlow …"`."""
    watched = is_watched()
    if watched:
        sys.stderr.write(f"{what} …")
        sys.stderr.flush()
    try:
        yield
    finally:
        if watched:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def progress(iterable=None, total=None, label="", unit="picture", form=None):
    """A tqdm progress bar on standard error when a person watches, silence otherwise.

    Args:
        iterable: What to go through, or `None` for a bar that is moved by its `update`.
        total: Number of steps, where the iterable has no length.
        label: What is going on, in a word or two.
        unit: What one step is; bytes (`"byte"`) are shown in kB, MB and GB.
        form: The bar's format, as tqdm takes it; `None` for tqdm's own.

    Returns:
        A `tqdm.tqdm`: an iterable and a context manager.
    """
    from tqdm import tqdm

    bytes_ = unit == "byte"
    return tqdm(
        iterable, total=total, desc=label, unit="B" if bytes_ else f" {unit}" + "s" * (unit != "img"),
        unit_scale=bytes_, unit_divisor=1000, bar_format=form, disable=not is_watched(), leave=False,
    )  # fmt: skip
