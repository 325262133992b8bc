"""Connects to a cluster's Jobs API, and explains failures to the user."""

import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dd_ray.errors import UserError
from dd_ray.tune.environment import TOKEN_FILE, has_token, prepare_environment
from dd_ray.tune.private import TALKATIVE

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"
"""The environment variable from which Ray's own tools read the same address."""
SECONDS_TO_ANSWER = 5


@contextmanager
def connected(address: str) -> "Iterator[JobSubmissionClient]":
    """Give a client of the Jobs API at an address, as `connect`; its errors in the block are `understood`."""
    client = connect(address)
    with understood(address):
        yield client


def connect(address: str) -> "JobSubmissionClient":
    """Return a client of the Jobs API at an address that has accepted the token.

    Raises:
        UserError: nothing answers there, or something else than Ray; it refuses the token; or the client is not
            installed.
    """
    if find_spec("aiohttp") is None:
        raise UserError("the service needs Ray's job client; install it with pip install -e '.[cluster]'.")
    address = address.rstrip("/") if "://" in address else f"http://{address.rstrip('/')}"
    _check_that_ray_answers(address)
    prepare_environment()
    if has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ[ADDRESS_VARIABLE] = address  # else RAY_ADDRESS, which names another port, would win
    # Not at the top: Ray reads the environment when it is imported.
    from ray.job_submission import JobSubmissionClient  # noqa: PLC0415

    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    with understood(address):
        client = JobSubmissionClient(address)
        client.list_jobs()  # the client only asks for the version, which needs no token
    return client


@contextmanager
def understood(address: str) -> Iterator[None]:
    """Turn the client's errors in the block into a `UserError`."""
    import aiohttp  # noqa: PLC0415  # comes with the extra, as does the next
    import requests  # noqa: PLC0415
    from ray.exceptions import AuthenticationError  # noqa: PLC0415

    try:
        yield
    except AuthenticationError as error:
        raise UserError(
            f"the Ray at {address} asks for a token and was given none or another; put its token into {TOKEN_FILE}, "
            "readable by you alone, or name another file in RAY_AUTH_TOKEN_PATH."
        ) from error
    except BrokenPipeError:  # from our own output, as in `... list | head`
        raise
    except (ConnectionError, requests.RequestException, aiohttp.ClientError) as error:
        raise UserError(f"the connection to {address} was lost ({error}); what was submitted goes on.") from error
    except RuntimeError as error:  # the server's answer, with its traceback if it has one
        last = [line for line in str(error).splitlines() if line.strip()][-1:] or ["no message"]
        raise UserError(f"the Ray at {address} refused: {last[0].strip()}") from error


def _check_that_ray_answers(address: str) -> None:
    """Check with a time limit that a Ray answers, since the client has none."""
    if not address.startswith(("http://", "https://")):
        raise UserError(f"--address {address} is not an address; give one such as {DEFAULT_ADDRESS}.")
    try:
        with urllib.request.urlopen(f"{address}/api/version", timeout=SECONDS_TO_ANSWER) as answer:
            told = json.load(answer)
            known = isinstance(told, dict) and "ray_version" in told
    except urllib.error.HTTPError as error:
        known = error.code in (401, 403)
    except (ValueError, HTTPException):  # not JSON, not HTTP, or not an address
        known = False
    except OSError as error:
        raise UserError(
            f"no Ray answers at --address {address} ({getattr(error, 'reason', error)}); where it is a tunnel, open "
            "it: ssh -L 8265:127.0.0.1:8265 HEAD"
        ) from error
    if not known:
        raise UserError(f"what answers at --address {address} is not a Ray dashboard; give its host and port.")
