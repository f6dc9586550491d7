"""A recipe: one strict YAML file that defines a corpus. All of it is checked before any model is loaded."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, create_model

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.common.installation import ROOT
from underpaint.pipeline.recipe.benchmark_lists import Benchmarks, ListError
from underpaint.pipeline.recipe.calibration_settings import CalibrationSettings
from underpaint.pipeline.recipe.corpus_settings import Decontaminate, Quotas, Rounds, Section, Select, SubsetShards
from underpaint.pipeline.recipe.strict_yaml import load_yaml
from underpaint.schemas.corpus.picture import Encoding
from underpaint.schemas.scenes.critique import Side
from underpaint.schemas.scenes.survival import refuse_unreadable
from underpaint.schemas.scenes.vocabulary import Vocabulary
from underpaint.stages.all_stages import STAGES
from underpaint.stages.common.recipe_paths import OF_PACKAGE, RecipePath
from underpaint.stages.common.stage import P, Stage
from underpaint.stages.common.suggest import did_you_mean
from underpaint.stages.common.templating import BUILT_IN, Template, TemplateError, load_templates
from underpaint.stages.judgement.panel import JudgeParams
from underpaint.stages.models.kinds import MODEL_KINDS, PLAYED_BY, AnyModel
from underpaint.stages.planning.compose import CATEGORIES, TooFewWords, compose
from underpaint.stages.prompting.tasks import Finder, unusable
from underpaint.stages.prompts import STAGE as PROMPTS

Role = Literal["painter", "sketcher", "writer", "judge", "arbiter", "scorer", "renderer"]


class Roles(Section):
    """Which model plays which role, by its name in `models`. One model may play several roles.

    In the paper the drafts that are judged are the policy's own (writer and sketcher) and the targets are FLUX's.
    """

    painter: str = Field(description="paints the multi-turn trajectories and the corrections")
    writer: str = Field(description="writes the steps of the rollouts, reads prompts and makes them long")
    judge: str = Field(description="writes the critiques, and decides which pictures pass")
    scorer: str = Field(description="embeds pictures and texts, for CLIP scores")
    sketcher: str | None = Field(default=None, description="paints the rollouts; the painter does where none is named")
    arbiter: str | None = Field(default=None, description="is asked where the judge's answers disagree")
    renderer: str | None = Field(
        default=None,
        description="shows the scenes on which the judge is calibrated (a model of the kind `drawn`); without one there"
        " is no calibration of the picture side",
    )


StageParams = create_model(
    "StageParams",
    __base__=Section,
    __doc__="Every stage's own parameters.",
    **{name: (stage.params, stage.params()) for name, stage in STAGES.items()},
)  # type: ignore[call-overload]


class Shards(SubsetShards):
    """How many shards each subset is dealt to.

    Numbers are fixed, since trainers deal shards, not samples, to ranks and workers. Numbers left out follow from the
    quotas (`pipeline.recipe.quotas.shard_numbers`): 128, 64, 64 and 8 for the full corpus, fewer for smaller ones.
    """

    encoding: Encoding = Field(
        default="webp-lossless", description="of the pictures in the shards; the store keeps them lossless"
    )


class RunConfig(Section):
    """Speed only; no fingerprint contains any of it."""

    workers: int = Field(default=2, ge=1, description="processes (Ray actors) that run stages at the same time")
    cpus: float = Field(default=1, gt=0, description="CPUs of each worker")
    gpus: float = Field(default=0, ge=0, description="GPUs of each worker; 0.5 puts two workers on one")
    gpu_roles: tuple[Role, ...] = Field(default=get_args(Role), description="only stages with one of these need a GPU")


class Recipe(Section):
    """The whole recipe. Paths are relative to the recipe's file and absolute once loaded."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$", description="of the corpus, and of its folder under runs/")
    seed: int = Field(ge=0, lt=2**63, description="all random choices follow from it")
    license: str = Field(
        default="other", min_length=1, description='of the corpus, for its card: a hub identifier such as "cc-by-4.0"'
    )
    vocabulary: RecipePath = Field(description="a YAML file of words, whose order counts (docs/prompts.md)")
    lot_size: int = Field(default=128, ge=1, le=65536, description="prompts a lot: what a worker makes at a time")
    models: dict[str, AnyModel] = Field(min_length=1, description="by a name of your own; each has a kind")
    roles: Roles
    templates: tuple[RecipePath, ...] = Field(
        default=(), description="folders; a template's id adds it, or replaces another"
    )
    template_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="by template id, in place of the file's own; 0 switches it off"
    )
    stages: StageParams = StageParams()  # type: ignore[valid-type]  # made of the list of stages
    quotas: Quotas = Quotas()
    calibration: CalibrationSettings = CalibrationSettings()
    rounds: Rounds = Rounds()
    select: Select = Select()
    decontaminate: Decontaminate = Decontaminate()
    shards: Shards = Shards()
    run: RunConfig = RunConfig()

    def cast(self, roles: Iterable[str]) -> dict[str, str]:
        """Role → name of the model that plays it; optional roles that nobody plays are left out."""
        named = {role: getattr(self.roles, role) for role in roles}
        if "sketcher" in named:
            named["sketcher"] = named["sketcher"] or self.roles.painter
        return {role: name for role, name in named.items() if name is not None}

    def params(self, stage: Stage[P]) -> P:
        """A stage's parameters; in what they do not say otherwise, its judge is asked as that of `asks_like`."""
        params: P = getattr(self.stages, stage.name)
        if stage.asks_like:
            other = getattr(self.stages, stage.asks_like)
            asked = {n: getattr(other, n) for n in JudgeParams.model_fields if n not in params.model_fields_set}
            params = params.model_copy(update=asked)
        return params

    def model_for(self, role: str) -> Any:
        """The settings of the model that plays a role. Raises KeyError for an optional role that nobody plays."""
        return self.models[self.cast([role])[role]]

    def words(self) -> Vocabulary:
        """The vocabulary. Raises ValueError where its file is missing or wrong."""
        return _load_vocabulary(Path(self.vocabulary))

    def benchmarks(self) -> Benchmarks:
        """The benchmark lists of `decontaminate`. Raises pipeline.recipe.benchmark_lists.ListError."""
        return Benchmarks([Path(p) for p in self.decontaminate.lists], self.decontaminate.words, self.words())

    def all_templates(self) -> dict[str, list[Template]]:
        """All templates that are used, by task, with the recipe's weights. Raises as `every_template`."""
        return {task: [t for t in found if t.weight > 0] for task, found in self.every_template().items()}

    def every_template(self) -> dict[str, list[Template]]:
        """All templates by task, with the recipe's weights; one of weight 0 is switched off.

        Raises TemplateError; ValueError where a weight names no template.
        """
        found = load_templates([BUILT_IN, *map(Path, self.templates)])
        ids = [t.id for templates in found.values() for t in templates]
        for id in self.template_weights:
            if id not in ids:
                raise ValueError(f"field template_weights: there is no template {id!r}{_suggest(id, ids)}")
        for template in (t for templates in found.values() for t in templates):
            for problem in unusable(template):
                raise TemplateError(problem)
        weights = self.template_weights
        return {
            task: [t.model_copy(update={"weight": weights.get(t.id, t.weight)}) for t in templates]
            for task, templates in found.items()
        }


def templates_for(stage: Stage[Any], by_task: Mapping[str, list[Template]]) -> dict[str, list[Template]]:
    """What a stage renders, by task. Raises UserError where a task is left without a template."""
    name = stage.asks_like or stage.name
    mine = {task: [t for t in by_task.get(task, []) if not t.stages or name in t.stages] for task in stage.tasks}
    for task, templates in mine.items():
        if not templates:
            raise UserError(
                f"the stage {stage.name} is left without a {task} template; see the recipe's fields templates and"
                " template_weights, and the field stages of the templates"
            )
    return mine


def named_models(templates: Mapping[str, list[Template]]) -> tuple[tuple[str, str], ...]:
    """(model, role) for every model that templates name in place of the one that plays their role, sorted."""
    return tuple(sorted({(t.model, t.role) for found in templates.values() for t in found if t.model}))


def load_recipe(path: Path, changes: Sequence[tuple[str, str]] = ()) -> Recipe:
    """Read a recipe, change these fields, and check it with all files that it names. Raises UserError."""
    raw = _read(path, changes)
    try:
        recipe = Recipe.model_validate(raw, context={"resolve": partial(resolve, path.parent)})
    except ValidationError as e:
        raise UserError("\n".join(f"{path}: {_explain(error, raw)}" for error in e.errors())) from None
    _check_named(recipe, path)
    return recipe


def template_folders(path: Path) -> list[Path]:
    """The folders whose templates a recipe uses, in order. Neither folders nor the rest of the recipe are checked."""
    named = _read(path).get("templates")
    return [BUILT_IN, *(Path(resolve(path.parent, str(t))) for t in (named if isinstance(named, list) else []))]


def resolve(folder: Path, value: str) -> str:
    """A path of a recipe that lies in `folder`, made absolute.

    "underpaint:miniature/vocabulary.yaml" is a file of this package, wherever each machine has it installed.
    """
    inside = value.removeprefix(OF_PACKAGE)
    return str(((folder.resolve() if inside == value else ROOT) / inside).resolve())


def _read(path: Path, changes: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """The recipe's fields as written, with changes made. Raises UserError."""
    try:
        raw = load_yaml(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such recipe") from None
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}; give a recipe's YAML file") from None
    except ValueError as e:
        raise UserError(f"{path}: {e}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a recipe is a mapping of fields, this is a {type(raw).__name__}")
    for field, value in changes:
        _set(raw, field, value)
    return raw


def _set(raw: dict[str, Any], field: str, value: str) -> None:
    """Set a field, such as "select.min_margin", to a value written as in YAML."""
    *folders, last = field.split(".")
    for name in folders:
        inner = raw.get(name)
        raw[name] = dict(inner) if isinstance(inner, dict) else {}
        raw = raw[name]
    try:
        raw[last] = yaml.safe_load(value)
    except yaml.YAMLError as e:
        raise UserError(f"{field}={value}: the value is no YAML: {e}") from None


def _check_named(recipe: Recipe, path: Path) -> None:
    """Check that models can play their roles, and that checkpoints, vocabulary, templates and lists can be used."""
    for role, name in recipe.cast(Roles.model_fields).items():
        if why := _unfit(recipe, role, name):
            raise UserError(f"{path}: field roles.{role}: {why}")
        if why := recipe.models[name].missing():
            raise UserError(f"{path}: field models.{name}: {why}")
    if not recipe.roles.renderer and list(recipe.calibration.floor.of(Side.PICTURE)):
        why = "no renderer shows pictures of known truth; name one in roles.renderer (a model of the kind drawn)"
        raise UserError(f"{path}: field calibration.floor.picture: {why}")
    for name in StageParams.model_fields:
        if why := getattr(recipe.stages, name).problem():
            raise UserError(f"{path}: field stages.{name}.{why}")
    try:
        words = recipe.words()
        refuse_unreadable(words)
    except (ValueError, OSError) as e:
        raise UserError(f"{path}: field vocabulary: {e}") from None
    _check_categories(recipe, words, path)
    try:
        for template in (t for templates in recipe.all_templates().values() for t in templates if t.model):
            _check_model_of(template, recipe)
        _check_sight(recipe, path)
        recipe.benchmarks()
    except TemplateError as e:
        raise UserError(str(e)) from None
    except ListError as e:
        raise UserError(f"{path}: field decontaminate.lists: {e}") from None
    except ValueError as e:
        raise UserError(f"{path}: {e}") from None


def _unfit(recipe: Recipe, role: str, name: str) -> str:
    """Why the model of this name cannot play a role; "" where it can."""
    if name not in recipe.models:
        return f"there is no model {name!r} in models{_suggest(name, list(recipe.models))}"
    serves = recipe.models[name].serves
    return "" if PLAYED_BY.get(role, role) in serves else f"model {name!r} can only be {', '.join(serves)}"


def _check_model_of(template: Template, recipe: Recipe) -> None:
    """Check that the model which a template names is in the recipe and can play its role. Raises TemplateError."""
    why = _unfit(recipe, template.role, template.model) or recipe.models[template.model].missing()
    if why:
        fix = "name one of the recipe's models that can, or leave model out"
        raise TemplateError(Finder(template).field("model", f"field model: {why}", fix))


def _check_sight(recipe: Recipe, path: Path) -> None:
    """Check that whoever judges pictures can be shown some. Raises as `Recipe.all_templates`."""
    for template in (t for ts in recipe.all_templates().values() for t in ts if t.role == "judge" and t.pictures):
        for name in [template.model] if template.model else recipe.cast(["judge", "arbiter"]).values():
            if name in recipe.models and (why := recipe.models[name].blind()):
                raise UserError(f"{path}: field models.{name}: it is shown pictures by {template.id}, but {why}")


def _check_categories(recipe: Recipe, words: Vocabulary, path: Path) -> None:
    """Check that the vocabulary suffices for every category, and that no quota names a category without prompts."""
    prompts = recipe.params(PROMPTS)
    asked = list(CATEGORIES) if prompts.source else [c for c, share in prompts.shares.items() if share]
    for category in [] if prompts.source else asked:
        try:
            compose(random.Random(0), category, words, prompts.capacity, prompts.attributes)
        except TooFewWords as e:
            raise UserError(f"{path}: field stages.prompts.shares.{category}: {e}; set its share to 0") from None
    for subset, shares in recipe.quotas.categories.items():
        for category in (c for c in shares if c not in asked):
            why = "is in no prompt (stages.prompts.shares)" if category in CATEGORIES else "is no category"
            raise UserError(f"{path}: field quotas.categories.{subset}.{category} {why}{_suggest(category, asked)}")


def _load_vocabulary(path: Path) -> Vocabulary:
    if not path.is_file():
        raise ValueError(f"{path} is no file")
    try:
        return Vocabulary.model_validate(load_yaml(path))
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(f"{path}: field {field}: {_in_words(first)}") from None
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from None


def _explain(error: Any, raw: dict[str, Any]) -> str:
    """One of pydantic's errors as a sentence: the field as written, what is wrong, and what was probably meant."""
    loc = [p for p in error["loc"] if not (isinstance(p, str) and p in (*MODEL_KINDS, "number", "by rank"))]
    field = ".".join(map(str, loc)) or "the whole"
    if error["type"] == "extra_forbidden":
        return f"unknown field {field}{_suggest(str(loc[-1]), _siblings(list(error['loc'])))}"
    if error["type"] == "union_tag_invalid":
        kind = error["ctx"]["tag"]
        return f"field {field}.kind: unknown model kind {kind!r}{_suggest(kind, list(MODEL_KINDS))}"
    if error["type"] == "union_tag_not_found":
        return f"field {field}: names no kind; there are {', '.join(MODEL_KINDS)}"
    if error["type"] == "missing":
        return f"field {field} is missing"
    return f"field {field}: {_in_words(error)}"


def _in_words(error: Any) -> str:
    """The message of one of pydantic's errors in plain words."""
    given = type(error["input"]).__name__
    if error["type"] in ("dict_type", "model_type", "model_attributes_type"):
        return f"should be a mapping of fields, is a {given}"
    if error["type"] in ("tuple_type", "list_type"):
        return f"should be a list, is a {given}"
    return str(error["msg"]).removeprefix("Value error, ").replace("Input should", "should")


def _siblings(loc: list[Any]) -> list[str]:
    """The fields that exist where an unknown one was found."""
    model: Any = Recipe
    for part in loc[:-1]:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[part].annotation
            model = next((m for m in get_args(model) if isinstance(m, type) and issubclass(m, BaseModel)), model)
            if part == "models":
                model = MODEL_KINDS
        elif isinstance(model, dict) and part in model:
            model = model[part]
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _suggest(word: str, known: list[str]) -> str:
    hint = did_you_mean(word, known)
    return f"; {hint}" if hint else ""
