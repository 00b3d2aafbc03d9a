"""Published weights from the caches of this machine, or from the Hugging Face hub."""

from __future__ import annotations

import dataclasses
import os
import queue
import socket
import threading
import urllib.parse
import urllib.request
from pathlib import Path

from jaxcam.models import pretrained

PATIENCE = 0.7
"""Seconds in which the hub must take a first call; later ones may take their time."""


@dataclasses.dataclass(frozen=True)
class Located:
    """A file of weights on this machine.

    Attributes:
      path: The file.
      revision: Commit of the repository that it came from, if it came from one.
      expected: What its sha256 must be, or how it must begin, as far as known.
    """

    path: Path
    revision: str | None = None
    expected: str | None = None


def locate(network: str, row: pretrained.Pretrained) -> Located:
    """The file of published weights: from a cache, or fetched from the hub.

    The hub's own cache is searched, and that of torchvision. Nothing is asked of the
    network where a cache has the file, nor with `HF_HUB_OFFLINE`; where there is no
    network this is found out in less than a second.

    Raises:
      FileNotFoundError: They are nowhere; the message says where it was looked and how
        to get them.
      ValueError: The hub's cache holds a damaged file.
    """
    found = _cached(row) or _torch_cached(row)
    if found is not None:
        return found
    if row.repository is None:
        raise FileNotFoundError(_absent(network, row, "they are not on the hub"))
    return _download(network, row)


def hub_cache() -> Path:
    """Where the hub's client keeps what it fetched."""
    home = Path(os.environ.get("HF_HOME") or _user_cache() / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def torch_cache() -> Path:
    """Where torchvision keeps what it fetched."""
    home = Path(os.environ.get("TORCH_HOME") or _user_cache() / "torch")
    return home.expanduser() / "hub" / "checkpoints"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def _cached(row: pretrained.Pretrained) -> Located | None:
    """Read here, as the client would, so that a cache is of use without the client.

    A file of the known hash will do from any commit.
    """
    if row.repository is None:
        return None
    folder = hub_cache() / f"models--{row.repository.replace('/', '--')}"
    revision = row.revision or _newest(folder)
    if revision is not None and (folder / "snapshots" / revision / row.file).is_file():
        return _located(folder / "snapshots" / revision / row.file, row)
    for path in sorted(folder.glob(f"snapshots/*/{row.file}")) if row.sha256 else ():
        if _blob(path) == row.sha256:
            return _located(path, row)
    return None


def _newest(folder: Path) -> str | None:
    """The commit that was the newest when the client last asked."""
    newest = folder / "refs" / "main"
    return newest.read_text(encoding="utf-8").strip() if newest.is_file() else None


def _blob(path: Path) -> str | None:
    """The sha256 of a file in a snapshot; the client names large files by it."""
    name = path.resolve().name
    return name if path.is_symlink() and len(name) == 64 else None


def _located(path: Path, row: pretrained.Pretrained) -> Located:
    return Located(path, path.parent.name, row.sha256 or _blob(path))


def _torch_cached(row: pretrained.Pretrained) -> Located | None:
    if row.torch_file is None:
        return None
    path = torch_cache() / row.torch_file
    return Located(path, expected=row.prefix) if path.is_file() else None


def _download(network: str, row: pretrained.Pretrained) -> Located:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise FileNotFoundError(_absent(network, row, "HF_HUB_OFFLINE is set"))
    try:
        from huggingface_hub import constants
    except ImportError as error:
        missing = (
            "fetching needs huggingface_hub: python -m pip install 'jaxcam-eval[hub]'"
        )
        raise FileNotFoundError(_absent(network, row, missing)) from error
    try:
        _reach(constants.ENDPOINT)
        from huggingface_hub import hf_hub_download  # Half a second by itself.

        path = hf_hub_download(row.repository, row.file, revision=row.revision)
    except Exception as error:  # The client and its network raise anything.
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        reason = f"the hub did not give them ({said.rstrip('.')})"
        raise FileNotFoundError(_absent(network, row, reason)) from error
    return _located(Path(path), row)


def _reach(endpoint: str) -> None:
    """Makes sure that there is a network, in a bounded time.

    The client tries again and again. A name may take long to be resolved, and that
    cannot be bounded but from another thread.

    Raises:
      OSError: The hub, or the proxy before it, does not take a connection.
    """
    address = urllib.parse.urlsplit(endpoint)
    proxy = urllib.request.getproxies().get(address.scheme)
    if proxy and not urllib.request.proxy_bypass(address.hostname):
        address = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = address.port or {"http": 80}.get(address.scheme, 443)
    answer: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def connect() -> None:
        try:
            socket.create_connection((address.hostname, port), PATIENCE).close()
            answer.put(None)
        except OSError as error:
            answer.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        failure = answer.get(timeout=PATIENCE)
    except queue.Empty:
        failure = TimeoutError(f"no answer within {PATIENCE} s")
    if failure is not None:
        raise failure


def _absent(network: str, row: pretrained.Pretrained, reason: str) -> str:
    """What was wanted, where it was looked for, how to get it, and what else to do."""
    looked = [] if row.repository is None else [str(hub_cache())]
    looked += [] if row.torch_file is None else [str(torch_cache() / row.torch_file)]
    if row.repository is None:
        fetch = f"curl -LO {pretrained.TORCHVISION}/{row.torch_file}"
        file = row.torch_file
    else:
        revision = f" --revision {row.revision}" if row.revision else ""
        source = f"{row.repository} {row.file}{revision}"
        fetch = f"hf download {source} --local-dir {row.folder}"
        file = f"{row.folder}/{row.file}"
    return (
        f"There are no weights {row.tag} of {network} ({row.address}) on this machine: "
        f"not in {' nor '.join(looked)}, and {reason}. Where there is a network, run\n"
        f"  {fetch}\n"
        f"and give --weights {file}, or give --weights random for an untrained net "
        "(in Python: weights='random')."
    )
