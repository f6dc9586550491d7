"""The kinds of model that a recipe can name: their settings, their identity, and how they load."""

from __future__ import annotations

import inspect
import os
import re
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from underpaint.stages.common.code_digest import PROJECT, code_digest, code_parts, total
from underpaint.stages.common.recipe_paths import CheckpointPath, is_folder
from underpaint.stages.models.chat_api import Structured
from underpaint.stages.models.checkpoint import folder_digest, folder_fault

# Roles that ask for what another role asks for.
PLAYED_BY = {"sketcher": "painter", "arbiter": "judge"}
HUB = "hf-hub:"  # how OpenCLIP marks a model of the hub
Dtype = Literal["float32", "bfloat16", "float16"]
# What OpenCLIP reads of a model on the hub: configuration, tokenizer, weights.
OPEN_CLIP_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
# Either says how a model of transformers is shown pictures; a text model has neither.
PICTURE_READERS = ("processor_config.json", "preprocessor_config.json")
DEVICE = "as torch names it, e.g. `cuda:0`; auto is a GPU where there is one"


class ModelConfig(BaseModel):
    """Base of all kinds. `serves` are the roles a kind can play; `SPEED_ONLY` never changes an answer's bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    serves: ClassVar[tuple[str, ...]] = ()
    module: ClassVar[str] = ""  # the module that turns requests into answers; its code is part of the fingerprint
    player: ClassVar[str] = ""  # its class there
    UNTOLD: ClassVar[frozenset[str]] = frozenset({"kind", "license"})  # fields that are no arguments of that class
    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset({"device", "license"})
    license: str = Field(default="", description='for the dataset card, a hub identifier such as "apache-2.0"')
    remote: ClassVar[bool] = False  # runs elsewhere, so its stages need no GPU here

    def load(self) -> Any:
        """Load the model, which then plays its roles (stages/common/roles.py). Raises as its class, `player`."""
        return getattr(import_module(self.module), self.player)(**self.arguments())

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments for the model's class."""
        return self.model_dump(exclude=set(self.UNTOLD))

    def settings(self) -> dict[str, Any]:
        """All that is said of it, but for what never changes an answer; weights by their content."""
        return {k: v for k, v in self.model_dump(mode="json").items() if k not in self.SPEED_ONLY}

    def source(self) -> dict[str, str]:
        """Digests of the code that the model itself is, by module: a drawn world, a model of one's own."""
        return {}

    def identity(self) -> dict[str, Any]:
        """What tells it from every other model that would answer otherwise; samples carry a digest of it."""
        source = self.source()
        return {**self.settings(), **({"source": total(source)} if source else {})}

    def code(self, role: str) -> dict[str, str]:
        """Digests of all code that turns a role's requests into answers, by module."""
        return {**(code_parts(self.module) if self.module else {}), **self.source()}

    def missing(self) -> str:
        """Why the model cannot be loaded; "" where it can. Checked before anything runs."""
        return ""

    def blind(self) -> str:
        """Why the model cannot be shown pictures; "" where it can, or where that is not known."""
        return ""

    def unready(self) -> str:
        """What is missing for a build but not for reading the recipe, e.g. a key; "" where nothing is."""
        return ""


class CheckpointConfig(ModelConfig):
    """A checkpoint on disk or on the hub."""

    needs: ClassVar[tuple[str, ...]] = ()  # files without which a folder is no such checkpoint
    checkpoint: CheckpointPath = Field(
        min_length=1, description="a hub id, or a folder relative to the recipe that begins with a dot (`./painter`)"
    )
    revision: str | None = Field(default=None, description="a hub checkpoint's commit, all 40 hex digits")
    device: str = Field(default="auto", description=DEVICE)
    batch: int = Field(
        default=16, ge=1, le=1024, description="requests a call; it may change bytes, so it is in the fingerprint"
    )

    def settings(self) -> dict[str, Any]:
        """A local checkpoint is what its files hold, not where they lie."""
        named = super().settings()
        if is_folder(self.checkpoint):
            named["checkpoint"] = folder_digest(Path(self.checkpoint))
        return named

    def missing(self) -> str:
        """Why the checkpoint cannot be loaded: a faulty folder, or a hub id without a commit; "" where it can."""
        if is_folder(self.checkpoint):
            return folder_fault(Path(self.checkpoint), self.needs)
        return _unpinned(self.checkpoint, self.revision)


class DiffusersConfig(CheckpointConfig):
    """A painter: a pipeline of diffusers, InstructPix2Pix or FLUX Kontext."""

    serves: ClassVar[tuple[str, ...]] = ("painter",)
    needs: ClassVar[tuple[str, ...]] = ("model_index.json",)
    module: ClassVar[str] = "underpaint.stages.models.painter"
    player: ClassVar[str] = "DiffusersPainter"
    kind: Literal["diffusers"] = Field(description="a pipeline of diffusers")
    dtype: Dtype = Field(default="float32", description="of weights and activations")
    steps: int = Field(default=12, ge=1, le=200, description="of denoising, a picture")
    guidance: float = Field(default=1.0, ge=1, le=30, description="the pipeline's `guidance_scale`; 1 is off")
    picture_guidance: float = Field(
        default=1.0, ge=1, le=30, description="InstructPix2Pix's `image_guidance_scale`; 1 is off"
    )
    size: int = Field(default=64, ge=16, le=4096, multiple_of=16, description="side of the pictures, pixels")


class TransformersConfig(CheckpointConfig):
    """A writer or judge: any model of transformers with a chat template, for texts or for texts and pictures."""

    serves: ClassVar[tuple[str, ...]] = ("writer", "judge")
    needs: ClassVar[tuple[str, ...]] = ("config.json",)
    module: ClassVar[str] = "underpaint.stages.models.speaker"
    player: ClassVar[str] = "TransformersSpeaker"
    kind: Literal["transformers"] = Field(description="a model of transformers")
    dtype: Dtype = Field(default="float32", description="of weights and activations")
    max_new_tokens: int = Field(default=256, ge=1, le=8192, description="an answer is cut after so many")
    structured: bool = Field(
        default=True, description="hold answers to the JSON Schema of their task while they are written"
    )
    logprobs: bool = Field(default=False, description="keep how probable the model found each token of its answers")
    chat: dict[str, Any] = Field(
        default_factory=dict, description="further variables of its chat template, e.g. `{enable_thinking: false}`"
    )

    def blind(self) -> str:
        """Why the model cannot be shown pictures; "" where it can, or where only loading it will tell."""
        folder = Path(self.checkpoint)
        if not is_folder(self.checkpoint) or any((folder / name).is_file() for name in PICTURE_READERS):
            return ""
        return f"it is a text model: the folder {folder} holds no {' or '.join(PICTURE_READERS)}"


class OpenClipConfig(CheckpointConfig):
    """A scorer: a model of OpenCLIP."""

    serves: ClassVar[tuple[str, ...]] = ("scorer",)
    module: ClassVar[str] = "underpaint.stages.models.scorer"
    player: ClassVar[str] = "OpenClipScorer"
    UNTOLD: ClassVar[frozenset[str]] = ModelConfig.UNTOLD | {"revision"}
    needs: ClassVar[tuple[str, ...]] = ("open_clip_config.json",)
    kind: Literal["open_clip"] = Field(description="a model of OpenCLIP")
    checkpoint: CheckpointPath = Field(
        min_length=1,
        description="the name of an OpenCLIP model; `hf-hub:` and the id of one on the hub; or a folder with its own"
        " config, relative to the recipe, that begins with a dot (`./scorer`)",
    )
    pretrained: str | None = Field(default=None, description="the tag of the weights of an OpenCLIP model")
    batch: int = Field(default=64, ge=1, le=4096, description="pictures or texts a call")

    def missing(self) -> str:
        """Why the model cannot be loaded: a faulty folder, no commit, or no `pretrained` tag; "" where it can."""
        if is_folder(self.checkpoint) or self.checkpoint.startswith(HUB):
            return super().missing()
        if self.pretrained is None:
            return f"the OpenCLIP model {self.checkpoint!r} needs `pretrained`, the tag of its weights"
        return ""

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments. OpenCLIP accepts no commit, so a hub model is first downloaded as a folder."""
        named = super().arguments()
        if self.checkpoint.startswith(HUB):
            from huggingface_hub import snapshot_download

            name = self.checkpoint.removeprefix(HUB)
            files = list(OPEN_CLIP_FILES)
            named["checkpoint"] = snapshot_download(name, revision=self.revision, allow_patterns=files)
        return named


class DrawnConfig(ModelConfig):
    """The drawn painter: not a model, but the renderer of a world module."""

    serves: ClassVar[tuple[str, ...]] = ("painter", "renderer")
    module: ClassVar[str] = "underpaint.stages.models.drawn"
    player: ClassVar[str] = "DrawnPainter"
    world_gives: ClassVar[tuple[str, ...]] = ("vocabulary", "render")
    kind: Literal["drawn"] = Field(description="the renderer of a world module")
    world: str = Field(default="underpaint.miniature.world", description="the module that draws scenes and reads them")
    fault_rate: float = Field(default=0.0, ge=0, le=1, description="share of pictures or steps that it gets wrong")

    def source(self) -> dict[str, str]:
        """Digests of the world's code, and of its icons."""
        return _code_of(self.world)

    def missing(self) -> str:
        """Why the world's module cannot be used; "" where it can."""
        return _unimportable(self.world, *self.world_gives)


class SymbolicConfig(DrawnConfig):
    """The symbolic writer, judge and scorer: scene-graph comparison over a drawn world."""

    serves: ClassVar[tuple[str, ...]] = ("writer", "judge", "scorer")
    module: ClassVar[str] = "underpaint.stages.models.symbolic"
    player: ClassVar[str] = "Symbolic"
    world_gives: ClassVar[tuple[str, ...]] = ("vocabulary", "read_picture")
    kind: Literal["symbolic"] = Field(description="scene-graph comparison")  # type: ignore[assignment]

    def code(self, role: str) -> dict[str, str]:
        """Digests of the code that answers for one role, and of the world's; the other roles' code does not count."""
        played = PLAYED_BY.get(role, role)
        names = (f"Symbolic{played.capitalize()}", *(() if played == "scorer" else ("Asked",)))
        return {**code_parts(self.module, names), **self.source()}


class OpenAIConfig(ModelConfig):
    """A model behind an OpenAI-compatible endpoint: chat for writer and judge, pictures for the painter."""

    serves: ClassVar[tuple[str, ...]] = ("painter", "writer", "judge")
    module: ClassVar[str] = "underpaint.stages.models.endpoint"
    player: ClassVar[str] = "Endpoint"
    UNTOLD: ClassVar[frozenset[str]] = ModelConfig.UNTOLD | {"revision"}
    SPEED_ONLY: ClassVar[frozenset[str]] = ModelConfig.SPEED_ONLY | {
        "base_url",
        "key",
        "concurrency",
        "timeout",
        "retries",
    }
    remote: ClassVar[bool] = True
    kind: Literal["openai"] = Field(description="an OpenAI-compatible endpoint")
    model: str = Field(min_length=1, description="as the endpoint names it")
    revision: str = Field(
        min_length=1,
        description="which weights answer, since a name does not say: `gpt-5-2025-08-07`, or the hub commit that vLLM"
        " serves; another revision is another model",
    )
    base_url: str = Field(
        default="https://api.openai.com/v1",
        description="where the endpoint is; changes no fingerprint, as the same weights may move to another machine",
    )
    key: str = Field(
        default="",
        description="the NAME of the environment variable that holds the key, on every machine that runs workers; the"
        " key itself is never written anywhere",
    )
    max_tokens: int = Field(default=1024, ge=1, le=65536, description="an answer's most, with what a model thinks")
    send_temperature: bool = Field(
        default=True, description="false for models that refuse any temperature but their own, as reasoning ones do"
    )
    structured: Structured = Field(
        default="json_schema",
        description="how the form of an answer is asked for: by its JSON Schema, as any JSON, or by words alone; a"
        " server that refuses is asked by words alone",
    )
    logprobs: bool = Field(
        default=False, description="ask for the probabilities of an answer's tokens; some servers refuse that"
    )
    size: int = Field(default=1024, ge=16, le=4096, multiple_of=16, description="side of the pictures, pixels")
    concurrency: int = Field(default=16, ge=1, le=1024, description="requests under way at a time, a worker")
    timeout: float = Field(default=120.0, gt=0, description="for one request, seconds")
    retries: int = Field(default=4, ge=0, le=20, description="after codes 408, 409, 429 and 5xx, a request")
    extra: dict[str, Any] = Field(default_factory=dict, description="sent with every request, e.g. `{top_p: 0.9}`")

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
        """Names the environment variable of the key where it is not set; "" where it is, or where no key is used."""
        unset = self.key and not os.environ.get(self.key)
        return f"the environment variable {self.key} is not set; it holds the key for {self.base_url}" if unset else ""


class PythonConfig(ModelConfig):
    """A model of one's own, which plays any role whose methods it has (examples/model_of_ones_own)."""

    serves: ClassVar[tuple[str, ...]] = ("painter", "renderer", "writer", "judge", "scorer")
    kind: Literal["python"] = Field(description="a class or function of your own")
    factory: str = Field(pattern=r"^[\w.]+:\w+$", description="what makes the model, as `package.module:Class`")
    options: dict[str, Any] = Field(default_factory=dict, description="the keyword arguments that it is called with")

    def source(self) -> dict[str, str]:
        """Digests of the code of the factory's module."""
        return _code_of(self.factory.split(":")[0])

    def missing(self) -> str:
        """Why the factory cannot be imported; "" where it can."""
        module, name = self.factory.split(":")
        return _unimportable(module, name)

    def load(self) -> Any:
        """Call the factory with the options."""
        module, name = self.factory.split(":")
        return getattr(import_module(module), name)(**self.options)


AnyModel = Annotated[
    DiffusersConfig | TransformersConfig | OpenClipConfig | DrawnConfig | SymbolicConfig | OpenAIConfig | PythonConfig,
    Field(discriminator="kind"),
]
# By the name that a recipe gives: what its field `kind` allows.
MODEL_KINDS: dict[str, type[ModelConfig]] = {
    get_args(config.model_fields["kind"].annotation)[0]: config for config in get_args(get_args(AnyModel)[0])
}


def _unpinned(checkpoint: str, revision: str | None) -> str:
    """Why a hub model may change without the recipe changing; "" for a commit. Branches and tags can be moved."""
    if not revision:
        return f"the hub checkpoint {checkpoint!r} needs a revision (a commit), or its answers may change"
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        return (
            f"the revision {revision!r} of the hub checkpoint {checkpoint!r} is no commit; give its 40 hex digits, as"
            " the hub's page of commits shows them"
        )
    return ""


def _code_of(module: str) -> dict[str, str]:
    """Digests of the code of a module, of what it imports from its package or this project, and of its `icons`.

    `icons` is an attribute of a drawn world: the module of its drawings, which an environment variable may choose.
    """
    found = import_module(module)
    icons = getattr(found, "icons", None)
    parts = [found, *([icons] if inspect.ismodule(icons) else [])]
    if not all(getattr(part, "__file__", None) for part in parts):  # compiled: its name is all there is
        return {module: module}
    return {p.__name__: code_digest(p.__name__, packages=(*PROJECT, p.__name__.split(".")[0])) for p in parts}


def _unimportable(module: str, *names: str) -> str:
    """Why these names cannot be imported from a module; "" where they can."""
    try:
        found = import_module(module)
    except ImportError as e:
        return f"the module {module!r} cannot be imported: {e}"
    return next((f"the module {module!r} has no {name}" for name in names if not hasattr(found, name)), "")
