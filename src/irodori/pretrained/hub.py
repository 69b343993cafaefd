"""Models in repositories of the Hugging Face hub, each a safetensors file and its card."""

import re
from pathlib import Path

from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import sha256_of

SCHEME = "hf://"
FILE = "model.safetensors"
"""The file of a repository that holds its model."""
CARD = "README.md"
ADDRESS = re.compile(rf"{SCHEME}([^/@]+/[^/@]+)(?:@(.+))?")
"""Addresses of models: hf://user/name, or hf://user/name@revision."""
SHA256 = re.compile("[0-9a-f]{64}")


def download_from(address: str) -> Path:
    """Return the file of the model at an address, see `download`.

    Raises:
        IrodoriError: it isn't an address, or see `download`.
    """
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise IrodoriError(f"{address}: give hf://user/name or hf://user/name@revision")
    return download(match[1], match[2])


def download(name: str, revision: str | None = None, sha256: str | None = None) -> Path:
    """Return the file of a repository's model, in the hub's cache, with its checksum verified.

    Where the hub can't be reached, a file that was downloaded before is taken.

    Args:
        name: user/name.
        revision: a commit, which stands for the same file forever; or a tag or a branch.
        sha256: of the file; None: as the hub states it.

    Raises:
        IrodoriError: there is no such model, it can't be had, or its checksum is another one.
    """
    # Imported here: it takes long, and few need it.
    from huggingface_hub import (
        errors,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )

    address = f"{SCHEME}{name}" + (f"@{revision}" if revision else "")
    refusals: dict[type[Exception], str] = {
        errors.RepositoryNotFoundError: "no such repository, or one that needs hf auth login",
        errors.RevisionNotFoundError: "the repository has no such revision",
        errors.EntryNotFoundError: f"the repository has no {FILE}",
    }
    try:
        stated = get_hf_file_metadata(hf_hub_url(name, FILE, revision=revision))
        # The very commit that the checksum is of.
        path = Path(hf_hub_download(name, FILE, revision=stated.commit_hash))
        sha256 = sha256 or stated.etag
    except errors.HFValidationError as error:
        raise IrodoriError(f"{address}: {one_line(error)}") from None
    except tuple(refusals) as error:
        reason = next(text for kind, text in refusals.items() if isinstance(error, kind))
        raise IrodoriError(f"{address}: {reason}") from None
    except Exception as error:
        # Errors of many kinds, by the hub's HTTP client.
        cached = try_to_load_from_cache(name, FILE, revision=revision)
        if not isinstance(cached, str):
            raise IrodoriError(f"{address} can't be downloaded: {one_line(error)}") from None
        path = Path(cached)
    if sha256 is not None:
        _verify(path, sha256.lower(), address)
    return path


def _verify(path: Path, sha256: str, address: str) -> None:
    """Raise IrodoriError, and remove the file, unless it has this checksum."""
    if not SHA256.fullmatch(sha256):
        raise IrodoriError(f"{address}: {sha256} is no SHA-256 that {FILE} could be verified by")
    found = sha256_of(path)
    if found != sha256:
        path.resolve().unlink()  # the cache holds links
        path.unlink(missing_ok=True)
        raise IrodoriError(
            f"{address}: the SHA-256 of {FILE} is {found}, not {sha256}: it was removed"
        )


def upload(name: str, content: bytes, card: str, private: bool) -> str:
    """Commit a model and its card to a repository, which is made if need be.

    Args:
        name: user/name.
        content: the safetensors file.
        card: the text of its model card.
        private: a repository that is made is seen by its owner alone.

    Returns:
        the address of this very commit.

    Raises:
        IrodoriError: the hub can't be reached, or refuses it.
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
        # Errors of many kinds, by the hub's HTTP client.
        raise IrodoriError(f"{SCHEME}{name} can't be written: {one_line(error)}") from None
    return f"{SCHEME}{name}@{commit.oid}"
