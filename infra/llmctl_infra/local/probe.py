"""The readiness probe of a model server."""

from __future__ import annotations

import http.client


def is_ready(host: str, port: int, seconds: float = 2.0) -> bool:
    """Whether the server there says that it takes requests."""
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
