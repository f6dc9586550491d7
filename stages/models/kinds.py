"""The kinds of model a recipe can name: their settings, what identifies them, and how they load."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from underpaint.stages.common.code_digest import PROJECT, code_digest
from underpaint.stages.common.recipe_paths import CheckpointPath
from underpaint.stages.models.checkpoint import folder_digest, folder_fault, is_folder

HUB = "hf-hub:"  # how OpenCLIP marks a model of the hub
# What OpenCLIP reads of a model on the hub: configuration, tokenizer, weights.
Dtype = Literal["float32", "bfloat16", "float16"]
OPEN_CLIP_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


class ModelConfig(BaseModel, ABC):
    """Base of all kinds. `serves` are the roles a kind can play; `SPEED_ONLY` never changes an answer's bytes.

    `license` is for the dataset card, a hub identifier such as "apache-2.0".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    serves: ClassVar[tuple[str, ...]] = ()
    module: ClassVar[str] = ""  # whose code turns requests into answers; part of the fingerprint
    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset({"device", "license"})
    license: str = ""
    remote: ClassVar[bool] = False  # runs elsewhere, so its stages need no GPU here

    @abstractmethod
    def load(self) -> Any:
        """The model itself, ready to be asked; see stages/common/roles.py."""

    def identity(self) -> dict[str, Any]:
        """What the fingerprint of every stage that uses the model depends on."""
        return {k: v for k, v in self.model_dump(mode="json").items() if k not in self.SPEED_ONLY}

    def missing(self) -> str:
        """Why the model cannot be loaded, "" where it can; checked before anything runs."""
        return ""

    def unready(self) -> str:
        """What a build lacks that reading the recipe does not need, e.g. a key; "" where nothing."""
        return ""


class CheckpointConfig(ModelConfig):
    """A checkpoint on disk (a folder, relative to the recipe) or a hub id with its commit as `revision`."""

    needs: ClassVar[tuple[str, ...]] = ()  # files without which a folder is no such checkpoint
    checkpoint: CheckpointPath = Field(min_length=1)
    revision: str | None = None
    device: str = "auto"
    batch: int = Field(default=16, ge=1, le=1024)

    def identity(self) -> dict[str, Any]:
        """A local checkpoint is what its files hold, not where they lie."""
        named = super().identity()
        if is_folder(self.checkpoint):
            named["checkpoint"] = folder_digest(Path(self.checkpoint))
        return named

    def missing(self) -> str:
        if is_folder(self.checkpoint):
            return folder_fault(Path(self.checkpoint), self.needs)
        return _unpinned(self.checkpoint, self.revision)

    def options(self) -> dict[str, Any]:
        return {k: v for k, v in self.model_dump().items() if k not in ("kind", "checkpoint", "license")}


class DiffusersConfig(CheckpointConfig):
    """A painter: InstructPix2Pix-style or FLUX Kontext pipelines. Batch size changes pixels, so it is identity."""

    serves: ClassVar[tuple[str, ...]] = ("painter",)
    needs: ClassVar[tuple[str, ...]] = ("model_index.json",)
    module: ClassVar[str] = "underpaint.stages.models.painter"
    kind: Literal["diffusers"]
    dtype: Dtype = "float32"
    steps: int = Field(default=12, ge=1, le=200)
    guidance: float = Field(default=1.0, ge=1, le=30)
    picture_guidance: float = Field(default=1.0, ge=1, le=30)
    size: int = Field(default=64, ge=16, le=4096, multiple_of=16)

    def load(self) -> Any:
        from underpaint.stages.models.painter import DiffusersPainter

        return DiffusersPainter(self.checkpoint, **self.options())


class TransformersConfig(CheckpointConfig):
    """A writer or judge: any image-text-to-text model with a chat template."""

    serves: ClassVar[tuple[str, ...]] = ("writer", "judge")
    needs: ClassVar[tuple[str, ...]] = ("config.json",)
    module: ClassVar[str] = "underpaint.stages.models.speaker"
    kind: Literal["transformers"]
    dtype: Dtype = "float32"
    max_new_tokens: int = Field(default=256, ge=1, le=8192)

    def load(self) -> Any:
        from underpaint.stages.models.speaker import TransformersSpeaker

        return TransformersSpeaker(self.checkpoint, **self.options())


class OpenClipConfig(CheckpointConfig):
    """A scorer: a folder with its own config, or an OpenCLIP model name with its `pretrained` tag.

    A name that begins with "hf-hub:" is a model of the hub; it needs its commit as `revision`.
    """

    serves: ClassVar[tuple[str, ...]] = ("scorer",)
    module: ClassVar[str] = "underpaint.stages.models.scorer"
    kind: Literal["open_clip"]
    needs: ClassVar[tuple[str, ...]] = ("open_clip_config.json",)
    pretrained: str | None = None
    batch: int = Field(default=64, ge=1, le=4096)

    def missing(self) -> str:
        if is_folder(self.checkpoint) or self.checkpoint.startswith(HUB):
            return super().missing()
        if self.pretrained is None:
            return f"the OpenCLIP model {self.checkpoint!r} needs `pretrained`, the tag of its weights"
        return ""

    def load(self) -> Any:
        from underpaint.stages.models.scorer import OpenClipScorer

        return OpenClipScorer(self._source(), pretrained=self.pretrained, device=self.device, batch=self.batch)

    def _source(self) -> str:
        """What OpenCLIP is given; it takes no commit, so a model of the hub is fetched at its own, as a folder."""
        if not self.checkpoint.startswith(HUB):
            return self.checkpoint
        from huggingface_hub import snapshot_download

        name = self.checkpoint.removeprefix(HUB)
        return snapshot_download(name, revision=self.revision, allow_patterns=list(OPEN_CLIP_FILES))


class DrawnConfig(ModelConfig):
    """The drawn painter: no model, the renderer of a world module."""

    serves: ClassVar[tuple[str, ...]] = ("painter", "renderer")
    module: ClassVar[str] = "underpaint.stages.models.drawn"
    world_gives: ClassVar[tuple[str, ...]] = ("vocabulary", "render")
    kind: Literal["drawn"]
    world: str = "underpaint.miniature.world"
    fault_rate: float = Field(default=0.0, ge=0, le=1)

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "source": _module_digest(self.world)}

    def missing(self) -> str:
        return _unimportable(self.world, *self.world_gives)

    def load(self) -> Any:
        from underpaint.stages.models.drawn import DrawnPainter

        return DrawnPainter(self.world, fault_rate=self.fault_rate)


class SymbolicConfig(DrawnConfig):
    """The symbolic writer, judge and scorer: scene-graph comparison over a drawn world."""

    serves: ClassVar[tuple[str, ...]] = ("writer", "judge", "scorer")
    module: ClassVar[str] = "underpaint.stages.models.symbolic"
    world_gives: ClassVar[tuple[str, ...]] = ("vocabulary", "read_picture")
    kind: Literal["symbolic"]  # type: ignore[assignment]

    def load(self) -> Any:
        from underpaint.stages.models.symbolic import Symbolic

        return Symbolic(self.world, fault_rate=self.fault_rate)


class OpenAIConfig(ModelConfig):
    """A model behind an OpenAI-compatible endpoint: chat for writer and judge, pictures for the painter.

    `revision` says which weights answer, since a name does not ("gpt-5-2025-08-07", the hub commit that vLLM serves);
    it is identity. `base_url` is not: the same weights may move to another machine. `key` is the name of an environment
    variable, on every machine that runs workers; the key itself is never written anywhere. Models that refuse any
    temperature but their own, as reasoning ones do, need `send_temperature: false`; `max_tokens` counts what they
    think, too.
    """

    serves: ClassVar[tuple[str, ...]] = ("painter", "writer", "judge")
    module: ClassVar[str] = "underpaint.stages.models.endpoint"
    SPEED_ONLY: ClassVar[frozenset[str]] = ModelConfig.SPEED_ONLY | {
        "base_url",
        "key",
        "concurrency",
        "timeout",
        "retries",
    }
    remote: ClassVar[bool] = True
    kind: Literal["openai"]
    model: str = Field(min_length=1)
    revision: str = Field(min_length=1)
    base_url: str = "https://api.openai.com/v1"
    key: str = ""
    max_tokens: int = Field(default=1024, ge=1, le=65536)
    send_temperature: bool = True
    size: int = Field(default=1024, ge=16, le=4096, multiple_of=16)
    concurrency: int = Field(default=16, ge=1, le=1024)
    timeout: float = Field(default=120.0, gt=0)
    retries: int = Field(default=4, ge=0, le=20)
    extra: dict[str, Any] = Field(default_factory=dict)

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http or https address, e.g. http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("secrets do not belong into a recipe; name an environment variable in the field key")
        return url

    @field_validator("key")
    @classmethod
    def _a_name(cls, key: str) -> str:
        if key and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", key):
            raise ValueError("give the NAME of an environment variable, like OPENAI_API_KEY, never the key itself")
        return key

    def unready(self) -> str:
        unset = self.key and not os.environ.get(self.key)
        return f"the environment variable {self.key} is not set; it holds the key for {self.base_url}" if unset else ""

    def load(self) -> Any:
        from underpaint.stages.models.endpoint import Endpoint

        return Endpoint(**self.model_dump(exclude={"kind", "revision", "license"}))


class PythonConfig(ModelConfig):
    """A model of one's own: ``factory: "package.module:Class"``, called with `options`."""

    serves: ClassVar[tuple[str, ...]] = ("painter", "renderer", "writer", "judge", "scorer")
    kind: Literal["python"]
    factory: str = Field(pattern=r"^[\w.]+:\w+$")
    options: dict[str, Any] = Field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "source": _module_digest(self.factory.split(":")[0])}

    def missing(self) -> str:
        module, name = self.factory.split(":")
        return _unimportable(module, name)

    def load(self) -> Any:
        module, name = self.factory.split(":")
        return getattr(import_module(module), name)(**self.options)


AnyModel = Annotated[
    DiffusersConfig | TransformersConfig | OpenClipConfig | DrawnConfig | SymbolicConfig | OpenAIConfig | PythonConfig,
    Field(discriminator="kind"),
]
KINDS = ("diffusers", "transformers", "open_clip", "drawn", "symbolic", "openai", "python")


def _unpinned(checkpoint: str, revision: str | None) -> str:
    """Why a model of the hub may change under a recipe, "" where it cannot: a branch or a tag can be moved."""
    if not revision:
        return f"the hub checkpoint {checkpoint!r} needs a revision (a commit), or its answers may change"
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        return (
            f"the revision {revision!r} of the hub checkpoint {checkpoint!r} is no commit; give its 40 hex digits, as"
            " the hub's page of commits shows them"
        )
    return ""


def _module_digest(module: str) -> str:
    """SHA-256 over the code of a module, of what it imports from its package or this project, and of its `icons`.

    A drawn world takes its drawings from a module of that name in it, which an environment variable may choose.
    """
    found = import_module(module)
    icons = getattr(found, "icons", None)
    parts = [found, *([icons] if inspect.ismodule(icons) else [])]
    if not all(getattr(part, "__file__", None) for part in parts):  # compiled: its name is all there is
        return hashlib.sha256(module.encode()).hexdigest()
    digests = [code_digest(p.__name__, (*PROJECT, p.__name__.split(".")[0])) for p in parts]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _unimportable(module: str, *names: str) -> str:
    """Why these names cannot be had from a module, "" where they can."""
    try:
        found = import_module(module)
    except ImportError as e:
        return f"the module {module!r} cannot be imported: {e}"
    return next((f"the module {module!r} has no {name}" for name in names if not hasattr(found, name)), "")
