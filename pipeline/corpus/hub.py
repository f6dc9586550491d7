"""Uploads a corpus to the Hugging Face hub, or lists what would be uploaded. huggingface_hub handles the tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.index import CARD, SUMS, corpus_index
from underpaint.pipeline.corpus.verify import verify
from underpaint.schemas.corpus.subsets import SUBSETS

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Upload:
    """A file to upload; `path` is its path both in the corpus and in the repository."""

    path: str
    bytes: int


def uploads(corpus: Path) -> list[Upload]:
    """The files to upload: the card, SHA256SUMS and what it lists. Other files in the folder stay out.

    Raises UserError where `corpus` is none or a file is missing.
    """
    corpus_index(corpus)
    sums = (corpus / SUMS).read_text("utf-8") if (corpus / SUMS).is_file() else ""
    paths = sorted({CARD, SUMS, *(line.partition("  ")[2] for line in sums.splitlines())})
    for path in paths:
        if not (corpus / path).is_file():
            raise UserError(f"{corpus / path} is missing; `underpaint verify {corpus}` says what else is wrong")
    return [Upload(path, (corpus / path).stat().st_size) for path in paths]


def check_repository(repo: str) -> None:
    """Raises UserError where `repo` is not "owner/name"."""
    if not _REPOSITORY.fullmatch(repo):
        raise UserError(f"--repo {repo}: write owner/name, e.g. my-lab/underpaint-62k")


def upload_corpus(corpus: Path, repo: str, private: bool, workers: int = 1) -> str:
    """Verify the corpus, then upload it as one commit to a dataset repository, created if missing. Returns its URL.

    Shards in the repository that this version does not have are deleted, since globs would still read them. Endpoint
    and token are those of huggingface_hub (HF_ENDPOINT, HF_TOKEN or `hf auth login`). Raises UserError.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    check_repository(repo)
    files = uploads(corpus)
    found = verify(corpus, workers)
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        raise UserError(f"{corpus} is not published, it does not verify: {found.problems[0]}{more}")
    index, api = corpus_index(corpus), HfApi()
    try:
        api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo, repo_type="dataset", folder_path=corpus, allow_patterns=[f.path for f in files],
            delete_patterns=[f"{subset}/*" for subset in SUBSETS],
            commit_message=f"{index.name}: {index.samples} samples of recipe {index.recipe_sha256[:12]}",
        )  # fmt: skip
    except LocalTokenNotFoundError:
        raise UserError("the hub wants a token; set HF_TOKEN, or log in with `hf auth login`") from None
    except HfHubHTTPError as e:
        status = e.response.status_code
        hint = "; set HF_TOKEN to a token that may write there" if status in (401, 403) else ""
        raise UserError(f"the hub refused {repo} with HTTP {status}{hint}") from None
    return commit.repo_url.url
