"""Models on the Hugging Face hub: a safetensors file and a model card each."""

import re
from pathlib import Path

from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import sha256_of

SCHEME = "hf://"
FILE = "model.safetensors"
"""Name of the model's file in a repository."""
CARD = "README.md"
ADDRESS = re.compile(rf"{SCHEME}([^/@]+/[^/@]+)(?:@(.+))?")
"""Pattern of addresses: hf://user/name or hf://user/name@revision."""
SHA256 = re.compile("[0-9a-f]{64}")


def download_from(address: str) -> Path:
    """Download the model at an address; see `download`.

    Raises:
        IrodoriError: the address is invalid; see also `download`.
    """
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise IrodoriError(f"{address}: give hf://user/name or hf://user/name@revision")
    return download(match[1], match[2])


def download(name: str, revision: str | None = None, sha256: str | None = None) -> Path:
    """Download a model, verify its checksum, and return its file in the hub's cache.

    If the hub can't be reached, a previously downloaded file is used.

    Args:
        name: user/name.
        revision: commit (which identifies an immutable file), tag or branch.
        sha256: expected checksum; None: the one that the hub reports.

    Raises:
        IrodoriError: the model doesn't exist, is unavailable, or has another checksum.
    """
    # Imported here, since it is slow and rarely needed.
    from huggingface_hub import (
        errors,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )

    address = f"{SCHEME}{name}" + (f"@{revision}" if revision else "")
    refusals: dict[type[Exception], str] = {
        errors.RepositoryNotFoundError: "the repository doesn't exist, or requires hf auth login",
        errors.RevisionNotFoundError: "the repository has no such revision",
        errors.EntryNotFoundError: f"the repository has no {FILE}",
    }
    try:
        stated = get_hf_file_metadata(hf_hub_url(name, FILE, revision=revision))
        # The commit that the checksum belongs to.
        path = Path(hf_hub_download(name, FILE, revision=stated.commit_hash))
        sha256 = sha256 or stated.etag
    except errors.HFValidationError as error:
        raise IrodoriError(f"{address}: {one_line(error)}") from None
    except tuple(refusals) as error:
        reason = next(text for kind, text in refusals.items() if isinstance(error, kind))
        raise IrodoriError(f"{address}: {reason}") from None
    except Exception as error:
        # The HTTP client raises many exceptions.
        cached = try_to_load_from_cache(name, FILE, revision=revision)
        if not isinstance(cached, str):
            raise IrodoriError(f"{address} can't be downloaded: {one_line(error)}") from None
        path = Path(cached)
    if sha256 is not None:
        _verify(path, sha256.lower(), address)
    return path


def _verify(path: Path, sha256: str, address: str) -> None:
    """Remove the file and raise IrodoriError unless it has this checksum."""
    if not SHA256.fullmatch(sha256):
        raise IrodoriError(f"{address}: {sha256} is not a SHA-256 checksum for {FILE}")
    found = sha256_of(path)
    if found != sha256:
        path.resolve().unlink()  # the cache contains links
        path.unlink(missing_ok=True)
        raise IrodoriError(
            f"{address}: the SHA-256 of {FILE} is {found}, not {sha256}: the file was removed"
        )


def upload(name: str, content: bytes, card: str, private: bool) -> str:
    """Commit a model and its card to a repository, which is created if necessary.

    Args:
        name: user/name.
        content: content of the safetensors file.
        card: text of the model card.
        private: if the repository is created, make it private.

    Returns:
        The address of the commit.

    Raises:
        IrodoriError: the hub can't be reached, or rejects the upload.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    files = {FILE: content, CARD: card.encode()}
    try:
        api = HfApi()
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.create_commit(
            name,
            [CommitOperationAdd(path, data) for path, data in files.items()],
            commit_message="Model of irodori",
        )
    except Exception as error:
        # The HTTP client raises many exceptions.
        raise IrodoriError(f"{SCHEME}{name} can't be written: {one_line(error)}") from None
    return f"{SCHEME}{name}@{commit.oid}"
