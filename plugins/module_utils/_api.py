# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Requests to the API server: few, bounded in time and size, each failure with a reason of ``docs/evidence.md``.

The official client says how to reach the server and how to be authenticated; answers are read as plain JSON, since its models cost more
time than the request for thousands of objects, and raise on values that no schema allows.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import socket
import ssl
import time
import traceback
import typing as t
import urllib.parse
import warnings

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._access import Access
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data, mapping, safe_text

URLLIB3_IMPORT_ERROR: str | None
try:
    import urllib3
    from kubernetes import client
    from urllib3 import exceptions as http_errors
    from urllib3._collections import HTTPHeaderDict  # its public name is urllib3 2's
except ImportError:
    URLLIB3_IMPORT_ERROR = traceback.format_exc()
else:
    URLLIB3_IMPORT_ERROR = None

MAX_ANSWER_BYTES = 256 * 1024 * 1024
RETRIES_WHEN_BUSY = 2
MAX_WAIT_SECONDS = 5
PATIENCE = 2
"""So many times ``timeout`` may be lost to a server that is busy or does not finish its answers; then nothing more is asked of it."""

_REASONS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 408: "timeout", 504: "timeout"}


class ApiError(Exception):
    """A request that brought no usable answer.

    ``reason`` is one of ``docs/evidence.md``, ``status`` the HTTP status or None when there was no answer.
    """

    def __init__(self, reason: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status

    def not_seen(self, subject: str) -> Data:
        """The entry of ``not_seen`` for what could not be read because of this."""
        return {"subject": subject, "reason": self.reason, "message": self.message}


@dataclasses.dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came. ``sent`` and ``received`` are seconds since 1970 of this machine's clock."""

    status: int
    headers: t.Mapping[str, str]
    body: bytes
    sent: float
    received: float


class Api:
    """An API server. ``requests`` counts what was sent, ``answered`` tells whether any got an HTTP answer, ``first_answer`` is the first of
    those; ``failure`` is why nothing more can be asked.

    A failure that every further request would meet as well (no connection at all, 401) is raised again without asking again, so that
    a server that is down costs one timeout, not one a question.
    """

    def __init__(
        self,
        access: Access,
        timeout: float,
        clock: t.Callable[[], float] = time.time,
        max_bytes: int | None = None,
    ) -> None:
        self.access = access
        self.timeout = timeout
        self.max_bytes = max_bytes or MAX_ANSWER_BYTES
        self.requests = 0
        self.answered = False
        self.first_answer: Answer | None = None
        self.failure: ApiError | None = None
        self._misses = 0
        self._lost = 0.0
        self._clock = clock
        self._pool = client.ApiClient(access.configuration).rest_client.pool_manager
        self._headers = HTTPHeaderDict(
            {"Accept": "application/json, */*;q=0.1", "User-Agent": "kubecare.kubelet_certs"}
        )
        for name, value in access.headers:
            self._headers.add(name, value)

    def get_json(self, path: str, **query: str | int | None) -> Data:
        """The object at ``path``. Raises ApiError, also when the answer is no JSON object."""
        return _json(self.get(path, **query))

    def post_json(self, path: str, body: Data) -> Data:
        """What the server answers to ``body``: a review, which changes nothing, or an object as it was made. Raises ApiError."""
        return _json(self.checked(self.send("POST", path, json.dumps(body).encode())))

    def put_json(self, path: str, body: Data) -> Data:
        """Replaces the object at ``path``; gives it as stored. Raises ApiError, with status 409 when ``metadata.resourceVersion`` has passed."""
        return _json(self.checked(self.send("PUT", path, json.dumps(body).encode())))

    def delete_json(self, path: str, uid: str | None = None, resource_version: str | None = None) -> Data:
        """Deletes the object at ``path``, only as long as it is the one given. Raises ApiError, with status 409 when it is another."""
        given = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in given.items() if value is not None}
        options: Data = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions:
            options["preconditions"] = preconditions
        return _json(self.checked(self.send("DELETE", path, json.dumps(options).encode())))

    def get(self, path: str, **query: str | int | None) -> Answer:
        """A 2xx answer. Raises ApiError for anything else."""
        return self.checked(self.send("GET", path, query=query))

    def send(self, method: str, path: str, body: bytes | None = None, query: Data | None = None) -> Answer:
        """Any HTTP answer but 401. Raises ApiError when there is none. Waits and asks again when the server is busy (429)."""
        for attempt in range(RETRIES_WHEN_BUSY + 1):
            answer = self._send_once(method, path, body, query or {})
            if answer.status != 429 or attempt == RETRIES_WHEN_BUSY:
                break
            wait = _wait_seconds(answer.headers.get("Retry-After"))
            self._lose(wait, _status_error(answer))
            if self.failure:
                break
            time.sleep(wait)
        return answer

    def _lose(self, seconds: float, why: ApiError) -> None:
        self._lost += seconds
        if self._lost > PATIENCE * self.timeout:
            self.failure = why

    def _send_once(self, method: str, path: str, body: bytes | None, query: Data) -> Answer:
        if self.failure:
            raise self.failure
        wanted = {key: value for key, value in query.items() if value is not None}
        url = f"{self.access.configuration.host}{path}" + (f"?{urllib.parse.urlencode(wanted)}" if wanted else "")
        headers = self._headers.copy()
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.requests += 1
        sent = self._clock()
        deadline = time.monotonic() + self.timeout
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about validate_certs=false, which the user chose
                response = self._pool.request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=self.timeout, read=self.timeout),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            received = self._clock()
            self.answered = True
            content = _read(response, deadline, self.timeout, self.max_bytes)
        except ApiError as error:
            self._lose(self.timeout if error.reason == "timeout" else 0.0, error)
            raise
        except (http_errors.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise self._missed(error) from error
        self._misses = 0
        answer = Answer(response.status, response.headers, content, sent, received)
        self.first_answer = self.first_answer or answer
        if answer.status == 401:
            self.failure = _status_error(answer)
            raise self.failure
        return answer

    def _missed(self, error: Exception) -> ApiError:
        reason, message = explain(error, self.timeout)
        found = ApiError(reason, f"{self.access.url}: {message}")
        self._misses += 1
        if not self.answered or self._misses > 1:
            self.failure = found
        return found

    @staticmethod
    def checked(answer: Answer) -> Answer:
        """The answer itself when it is 2xx. Raises ApiError for any other."""
        if 200 <= answer.status < 300:
            return answer
        raise _status_error(answer)


def explain(error: Exception, timeout: float) -> tuple[str, str]:
    """``(reason, message)`` for an error below HTTP, in words for the person who runs the playbook."""
    chain = _chain(error)
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return "tls", f"the API server's certificate is refused: {one.verify_message}"
    for one in chain:
        if isinstance(one, ssl.SSLError):
            return "tls", f"TLS failed: {(one.reason or str(one.args[-1])).replace('_', ' ').lower()}"
        if isinstance(one, socket.gaierror):
            return "unreachable", f"the name does not resolve: {one.strerror}"
        if isinstance(one, (http_errors.TimeoutError, TimeoutError)) and not isinstance(
            one, http_errors.NewConnectionError
        ):
            return "timeout", f"no answer within {timeout:g} s"
        if isinstance(one, OSError) and one.strerror:
            return "unreachable", f"no connection: {one.strerror}"
    for one in chain:
        if isinstance(one, http_errors.ProxyError):
            return "unreachable", "the proxy does not connect to it"
        if isinstance(one, http_errors.SSLError):
            return "tls", f"TLS failed: {safe_text(str(one), 200)}"
    return "unreachable", f"the connection broke off or spoke no HTTP ({type(chain[0]).__name__})"


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it came from, the outermost first."""
    found: list[BaseException] = []
    todo: list[t.Any] = [error]
    while todo and len(found) < 20:
        one = todo.pop(0)
        if isinstance(one, BaseException) and not any(one is other for other in found):
            found.append(one)
            todo += [*one.args, getattr(one, "original_error", None), one.__cause__, one.__context__]
    return found


def _read(response: t.Any, deadline: float, timeout: float, max_bytes: int) -> bytes:
    """The body. ``read1`` gives what is there, so that a trickle cannot outlast the deadline; urllib3 1 has it only underneath."""
    read = getattr(response, "read1", None) or response._original_response.read1
    parts: list[bytes] = []
    size = 0
    try:
        while part := read(1024 * 1024):
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                raise ApiError(
                    "too_large",
                    f"an answer is larger than {max_bytes} bytes; of a list, a smaller page_size makes it smaller",
                )
            if time.monotonic() > deadline:
                raise ApiError("timeout", f"an answer was not complete within {timeout:g} s")
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return b"".join(parts)


def _json(answer: Answer) -> Data:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise ApiError(
            "malformed", "the answer is no JSON: does something else answer in the API server's place?", answer.status
        ) from error
    if not isinstance(value, dict):
        raise ApiError("malformed", "the answer is no JSON object", answer.status)
    return value


def _status_error(answer: Answer) -> ApiError:
    """The Status object that the API server explains itself with; of another server's page, its beginning."""
    try:
        said = safe_text(mapping(json.loads(answer.body)).get("message"), 500)
    except (ValueError, RecursionError):
        said = safe_text(" ".join(answer.body[:2000].decode("utf-8", "replace").split()), 200)
    message = f"HTTP {answer.status}: {said}" if said else f"HTTP {answer.status}"
    return ApiError(_REASONS.get(answer.status, "error"), message, answer.status)


def _wait_seconds(header: str | None) -> float:
    try:
        return min(max(float(header or 1), 0.0), MAX_WAIT_SECONDS)
    except ValueError:
        return 1.0
