"""Files that a deployment names, perhaps one that a stranger wrote: no device, no pipe, nothing endless."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason

# Opening a pipe waits for its other end unless it is told not to.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def read_regular(what: str, path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises ProbeError, which never holds any of them."""
    try:
        opened = os.open(path, _FLAGS)
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise _refused(what, "is no regular file")
            with open(opened, "rb", closefd=False) as file:
                content = file.read(limit + 1)
        finally:
            os.close(opened)
    except (OSError, ValueError) as error:
        raise _refused(what, f"cannot be read ({type(error).__name__})") from error
    if len(content) > limit:
        raise _refused(what, f"is larger than {limit} bytes")
    return content


def regular(what: str, path: Path) -> Path:
    """`path`, when it leads to a regular file, for whoever opens it by itself. Raises ProbeError."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise _refused(what, f"cannot be read ({type(error).__name__})") from error
    if not stat.S_ISREG(mode):
        raise _refused(what, "is no regular file")
    return path


def below(what: str, base: Path, reference: str) -> Path:
    """The file that `reference` means, wherever links lead, when it lies beside or below the deployment file: what is
    sent to somebody must not be any file of this machine. Raises ProbeError."""
    try:
        root, path = base.resolve(), (base / reference).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise _refused(what, f"cannot be read ({type(error).__name__})") from error
    if not path.is_relative_to(root):
        raise _refused(what, "lies outside the deployment's directory; put the file beside the deployment file")
    return path


def _refused(what: str, why: str) -> ProbeError:
    return ProbeError(Reason.PERMISSION_DENIED, vendor_text(f"{what} {why}"))
