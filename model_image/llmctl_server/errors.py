"""What can go wrong: a request that is refused, and a server that cannot start.

::

    ApiError      a request is answered with a status and an error object
    StartError    the process ends with one line on stderr and an exit code
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the server's process ends with (numbers of sysexits.h where there is one)."""

    OK = 0
    UNAVAILABLE = 69
    INTERNAL = 70
    CONFIG = 78


class StartError(Exception):
    """Raised when the server cannot start.

    Attributes:
        lines: what is wrong, one clear line each.
        exit_code: what the process ends with.
    """

    def __init__(self, *lines: str, exit_code: ExitCode = ExitCode.CONFIG) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
        self.exit_code = exit_code


class ApiError(Exception):
    """Raised when a request is refused; becomes the status and the error object of the answer.

    Attributes:
        status: HTTP status.
        code: stable word for programs, such as `too_many_tokens`.
        message: for people: what is wrong and what to do. Never holds the caller's text.
        param: the field or header that is to blame, such as `texts[3]`; None for the request as a whole.
        retry_after: seconds after which trying again makes sense, or None.
        close: whether the connection must end with this answer.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        *,
        retry_after: int | None = None,
        close: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.close = close
        self.headers = headers

    @property
    def type(self) -> str:
        """Family of the error: who has to act."""
        if self.status == 401:
            return "authentication_error"
        if self.status == 429:
            return "rate_limit_error"
        if self.status in (503, 504):
            return "unavailable_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"
