"""The root of the command line and the second boundary: whatever happens, an exit code that means it."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from keycheck import __version__
from keycheck.cli.lazy import VERBS, LazyGroup
from keycheck.errors import DeploymentError, IntegrityError, KeycheckError, ProfileError, UsageError
from keycheck.model.verdict import ExitCode

app = typer.Typer(
    cls=LazyGroup,
    name="keycheck",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 contract met, 10 met through waivers, 1 a clause fails, 3 incomplete, 4 keycheck failed, "
    "5 evidence does not verify, 6 a drill is not proved restored, 2 usage, 75 locked, 130 interrupted. "
    "Docs: docs/ in the source tree.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"keycheck {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Prove, with evidence the other side can check, whether a vendor keeps its encryption promises."""


def main(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run the command line; never raises, and never exits 1 for a crash (1 means: a clause fails).

    `environment`: variables that were neutralised at start, with the digests of their values.
    """
    debug = bool(os.environ.get("KEYCHECK_DEBUG"))
    try:
        command = typer.main.get_command(app)
        result = command.main(list(arguments), prog_name="keycheck", standalone_mode=False, obj=dict(environment or {}))
    except KeycheckError as error:
        return _say(str(error), error.advice, _code_of(error))
    except typer.TyperException as error:
        usage = error.format_message() or "wrong usage"
        return _say(usage, f"see `keycheck {' '.join(_verbs(arguments))}--help`", ExitCode.USAGE)
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", "nothing more was done", ExitCode.INTERRUPTED)
    except SystemExit as error:  # typer ends like this when its output cannot be written
        return int(ExitCode.MET) if error.code in (None, 0) else int(ExitCode.TOOL_FAILED)
    except OSError as error:
        return _say(
            f"input or output failed: {error.strerror or type(error).__name__}",
            "free the disk or keep the pipe open; a bundle that was announced is complete",
            ExitCode.TOOL_FAILED,
        )
    except Exception as error:  # noqa: BLE001 - the outermost boundary
        if debug:
            traceback.print_exc()
        return _say(
            f"keycheck itself failed: {type(error).__name__} at {_place(error)}",
            "this is a defect: set KEYCHECK_DEBUG=1 for the traceback and report it (SECURITY.md if it is sensitive)",
            ExitCode.TOOL_FAILED,
        )
    if not isinstance(result, int):  # a verb that says nothing has not said that all is well
        return _say("the verb gave no exit code", "report it to whoever wrote the verb", ExitCode.TOOL_FAILED)
    return int(result)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"  # noqa: PTH119


def _verbs(arguments: Sequence[str]) -> list[str]:
    words = [word for word in arguments if not word.startswith("-")][:1]
    return [f"{word} " for word in words if word in VERBS]


def _code_of(error: KeycheckError) -> ExitCode:
    code = getattr(error, "exit_code", None)  # an error that knows better, such as another drill in the way
    if isinstance(code, ExitCode):
        return code
    match error:
        case IntegrityError():
            return ExitCode.EVIDENCE_BROKEN
        case ProfileError() | DeploymentError() | UsageError():
            return ExitCode.USAGE
        case _:
            return ExitCode.TOOL_FAILED


def _say(message: str, advice: str, code: ExitCode) -> int:
    with contextlib.suppress(OSError, ValueError):  # nobody may be listening; the code still says it
        sys.stderr.write(f"keycheck: {message}\n")
        if advice:
            sys.stderr.write(f"  → {advice}\n")
        sys.stderr.flush()
    return int(code)
