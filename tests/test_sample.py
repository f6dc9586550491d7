"""The sample's rules, one by one, and its way through a tar and back."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
from typing import Any

import pytest
from factories import SAMPLES_OF_ALL_KINDS, alignment, conflict, multi_turn, new_picture, picture, plan, prompt
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from underpaint.pipeline.corpus.columns import arrow_fields
from underpaint.schemas.corpus.fields import MODELS, field_rows, json_schema, markdown_tables
from underpaint.schemas.corpus.picture import (
    PictureError,
    decode_picture,
    encode_picture,
    picture_sha256,
    probe_picture,
)
from underpaint.schemas.corpus.sample import Sample, SampleError, canonical_json, content_sha256, sample_id
from underpaint.schemas.corpus.sample_builder import build_sample, image_segment, text_segment
from underpaint.schemas.corpus.webdataset import decode, decode_json, encode
from underpaint.schemas.corpus.write_schema import files, stale
from underpaint.schemas.markup import (
    LOST,
    MarkupError,
    parse_plan,
    parse_refine,
    plan_text,
    refine_text,
    unwritable,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda t: t.strip() and "<" not in t and LOST not in t and not unwritable(t)
)


def refused(fields: dict[str, Any], redigest: bool = True) -> SampleError:
    if redigest:
        fields["content_sha256"] = content_sha256(fields)
    with pytest.raises(SampleError) as caught:
        decode_json(fields["id"], json.dumps(fields).encode())
    assert caught.value.key == fields["id"]
    return caught.value


@pytest.mark.parametrize("kind", SAMPLES_OF_ALL_KINDS)
def test_every_kind_survives_a_tar(kind: Any) -> None:
    sample, pictures = kind(7)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in encode(sample, pictures):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    assert list(members)[-1].endswith(".json")
    assert decode(members) == (sample, pictures)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), words=TEXT, seed=st.integers(0, 2**63 - 1))
def test_any_text_and_seed_round_trip(texts: list[tuple[str, str]], words: str, seed: int) -> None:
    segments = [prompt(words)]
    for step, (instruction, description) in enumerate(texts, 1):
        text = plan_text(instruction, description)
        assert parse_plan(text) == (instruction.strip(), description.strip())
        segments += [
            text_segment("plan", step, text, loss=1, seed=seed),
            image_segment("sketch", step, step - 1, loss=1),
        ]
    sample, pictures = multi_turn(0, len(texts))
    built = build_sample(
        id=sample.id, subset="multi_turn", split="train", polarity="none", complete=True, category="c", group="g",
        parent="", segments=segments, pictures=[new_picture(i) for i in range(len(texts))], extra={"words": words},
        pipeline_commit=sample.pipeline_commit, config_sha256=sample.config_sha256,
    )  # fmt: skip
    assert decode(dict(encode(built, pictures))) == (built, pictures)
    assert json.loads(built.extra) == {"words": words}


@given(instruction=TEXT)
def test_refine_round_trips(instruction: str) -> None:
    assert parse_refine(refine_text(instruction)) == instruction.strip()


@pytest.mark.parametrize(
    "text",
    ["", "<ins>a</ins>", "<ins>a</ins><des></des>", "<ins>a</ins> and <des>b</des>", "<ins>a<ins>b</ins><des>c</des>"],
)
def test_writers_answers_that_are_no_plan(text: str) -> None:
    with pytest.raises(MarkupError):
        parse_plan(text)


FAULTS: list[tuple[str, str, Any]] = [  # what is wrong, in which field, how it is planted in a negative of alignment
    ("extra key", "surprise", lambda d: d.update(surprise=1)),
    ("missing key", "category", lambda d: d.pop("category")),
    ("null", "parent", lambda d: d.update(parent=None)),
    ("other version", "schema", lambda d: d.update(schema="underpaint/2")),
    ("key of another subset", "polarity", lambda d: d.update(subset="multi_turn", id="mtg-00000007")),
    ("abbreviation", "id", lambda d: d.update(id="mtg-00000007")),
    ("dotted key", "id", lambda d: d.update(id="iia-0000.007")),
    ("unknown split", "split", lambda d: d.update(split="test")),
    ("polarity against verdict", "polarity", lambda d: d.update(polarity="positive")),
    ("polarity none", "polarity", lambda d: d.update(polarity="none")),
    ("copy of the prompt", "prompt", lambda d: d.update(prompt="another")),
    ("count of pictures", "n_images", lambda d: d.update(n_images=1)),
    ("count of steps", "n_steps", lambda d: d.update(n_steps=2)),
    ("bool for int", "n_steps", lambda d: d.update(n_steps=True)),
    ("int for bool", "complete", lambda d: d.update(complete=0)),
    ("template without digest", "template_sha256", lambda d: d.update(template_sha256="")),
    ("short commit", "pipeline_commit", lambda d: d.update(pipeline_commit="abc")),
    ("digest", "config_sha256", lambda d: d.update(config_sha256="A" * 64)),
    ("extra is no JSON", "extra", lambda d: d.update(extra="{")),
    ("extra is no object", "extra", lambda d: d.update(extra="[]")),
    ("loss on the prompt", "segments.0.loss", lambda d: d["segments"][0].update(loss=1)),
    ("loss as a bool", "segments.3.loss", lambda d: d["segments"][3].update(loss=True)),
    ("loss on the examined plan", "segments.1.loss", lambda d: d["segments"][1].update(loss=1)),
    ("loss on a flawed draft", "segments.2.loss", lambda d: d["segments"][2].update(loss=1)),
    ("no loss at the end", "segments.5.loss", lambda d: d["segments"][5].update(loss=0)),
    ("control token", "segments.3.text", lambda d: d["segments"][3].update(text="now <|vision_start|>")),
    ("tag in plain text", "segments.3.text", lambda d: d["segments"][3].update(text="<ins>no</ins>")),
    ("plan without markup", "segments.1.text", lambda d: d["segments"][1].update(text="Add a cup.")),
    ("refine without markup", "segments.4.text", lambda d: d["segments"][4].update(text="Add a cup.")),
    ("blank text", "segments.3.text", lambda d: d["segments"][3].update(text=" ")),
    ("text in a picture", "segments.2.text", lambda d: d["segments"][2].update(text="hm")),
    ("picture in a text", "segments.3.image", lambda d: d["segments"][3].update(image="img0.webp")),
    ("unknown stage", "segments.3.stage", lambda d: d["segments"][3].update(stage="think")),
    ("type against stage", "segments.2.type", lambda d: d["segments"][2].update(type="text")),
    ("role", "segments.1.role", lambda d: d["segments"][1].update(role="user")),
    ("step of the prompt", "segments.0.step", lambda d: d["segments"][0].update(step=1)),
    ("step 0", "segments.1.step", lambda d: d["segments"][1].update(step=0)),
    ("steps that go back", "segments.2.step", lambda d: d["segments"][1].update(step=2)),
    ("second prompt", "segments.1.stage", lambda d: d["segments"].insert(1, d["segments"][0])),
    ("no prompt", "segments.0.stage", lambda d: d["segments"].pop(0)),
    ("op on a sketch", "segments.2.op", lambda d: d["segments"][2].update(op="add")),
    ("unknown op", "segments.1.op", lambda d: d["segments"][1].update(op="paint")),
    ("inspect without verdict", "segments.3.verdict", lambda d: d["segments"][3].update(verdict="")),
    ("unknown verdict", "segments.3.verdict", lambda d: d["segments"][3].update(verdict="wrong")),
    ("verdict on a plan", "segments.1.verdict", lambda d: d["segments"][1].update(verdict="conflict")),
    ("seed of 64 bits", "segments.1.seed", lambda d: d["segments"][1].update(seed=2**63)),
    ("negative seed", "images.0.seed", lambda d: d["images"][0].update(seed=-1)),
    ("name out of order", "images.0.name", lambda d: d["images"].reverse()),
    ("picture never shown", "images", lambda d: d["segments"][5].update(image="img0.webp")),
    ("suffix against encoding", "images.0.name", lambda d: d["images"][0].update(encoding="jpeg95_444")),
    ("odd size", "images.0.width", lambda d: d["images"][0].update(width=17)),
    ("unknown origin", "images.0.origin", lambda d: d["images"][0].update(origin="scan")),
    ("float as int", "images.0.scores.0.value", lambda d: d["images"][0]["scores"][0].update(value=1)),
    ("no refine", "segments", lambda d: d["segments"].pop(4)),
    ("no repaint", "segments", lambda d: (d["segments"].pop(5), d["images"].pop(), d.update(n_images=1))),
    ("no inspect", "segments", lambda d: d["segments"].pop(3)),
]  # fmt: skip


@pytest.mark.parametrize(("field", "plant"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_every_rule_names_its_field(field: str, plant: Any) -> None:
    fields = alignment(7, complete=False)[0].to_dict()
    plant(fields)
    error = refused(fields)
    assert error.field == field and error.message, str(error)


def test_rules_of_the_other_subsets() -> None:
    positive = conflict(1, negative=False)[0].to_dict()
    positive["segments"].append(conflict(1)[0].to_dict()["segments"][-1])
    assert refused(positive).field == "segments"
    early = conflict(1)[0].to_dict() | {"complete": True}
    assert refused(early).field == "complete"
    inspected = multi_turn(1, 1)[0].to_dict()
    inspected["segments"].append(conflict(1)[0].to_dict()["segments"][-2] | {"step": 1})
    inspected["complete"] = False
    assert refused(inspected).field == "segments"


def test_numbers_that_are_not_json() -> None:
    fields = multi_turn(1)[0].to_dict()
    fields["images"][0]["scores"][0]["value"] = float("nan")
    with pytest.raises(SampleError, match="NaN"):
        decode_json(fields["id"], json.dumps(fields).encode())
    twice = multi_turn(1)[0].to_json_bytes().replace(b'"category":', b'"category":"x","category":')
    with pytest.raises(SampleError, match="twice"):
        decode_json("mtg-00000001", twice)
    with pytest.raises(SampleError, match="given"):
        encode(multi_turn(1)[0], [])


def test_content_digest_is_what_the_docs_say() -> None:
    sample, _ = multi_turn(3)
    read = json.loads(sample.to_json_bytes())
    stated = read.pop("content_sha256")
    text = json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == stated
    assert refused({**sample.to_dict(), "category": "position"}, redigest=False).field == "content_sha256"
    assert canonical_json({"b": 1.0, "a": "é"}) == '{"a":"é","b":1.0}'.encode()


def test_members_and_json_must_agree() -> None:
    sample, pictures = multi_turn(5)
    members = dict(encode(sample, pictures))
    for planted, field in (
        ({f"{sample.id}.img1.webp": pictures[0] + b"x"}, "images.1.bytes"),
        ({f"{sample.id}.img1.webp": picture(999)[: len(pictures[1])].ljust(len(pictures[1]))}, "images.1.sha256"),
        ({f"{sample.id}.img4.webp": pictures[0]}, "images"),
        ({"mtg-00000006.img0.webp": pictures[0]}, "member"),
        ({f"{sample.id}.txt": b"x"}, "member"),
    ):
        with pytest.raises(SampleError) as caught:
            decode(members | planted)
        assert caught.value.field == field
    for left_out, field in ((f"{sample.id}.json", "json"), (f"{sample.id}.img2.webp", "images")):
        with pytest.raises(SampleError) as caught:
            decode({k: v for k, v in members.items() if k != left_out})
        assert caught.value.field == field


def test_builder_names_the_sample_and_the_field() -> None:
    with pytest.raises(SampleError, match=r"mtg-00000001: images\.0\.seed"):
        multi_turn_with(new_picture(1), seed=-1)
    with pytest.raises(SampleError, match=r"mtg-00000001: images\.0: is no WEBP"):
        multi_turn_with(new_picture(1), data=b"nothing")
    png = io.BytesIO()
    Image.new("RGB", (16, 16)).save(png, "PNG")
    with pytest.raises(SampleError, match="encode_picture"):
        multi_turn_with(new_picture(1), data=png.getvalue())
    with pytest.raises(SampleError, match="params: is no JSON"):
        multi_turn_with(new_picture(1), params={"x": object()})
    error = SampleError("k", "f", "m")
    assert str(pickle.loads(pickle.dumps(error))) == "k: f: m"
    assert sample_id("conflict", 12) == "iic-00000012"
    with pytest.raises(ValueError, match="eight digits"):
        sample_id("conflict", 10**8)


def multi_turn_with(new: Any, **changes: Any) -> Sample:
    from dataclasses import replace

    return build_sample(
        id="mtg-00000001", subset="multi_turn", split="train", polarity="none", complete=True, category="c", group="g",
        parent="", segments=[prompt(), plan(1, 1), image_segment("sketch", 1, 0, loss=1)],
        pictures=[replace(new, **changes)], pipeline_commit="0" * 40, config_sha256="1" * 64,
    )  # fmt: skip


def test_jpeg_pictures_get_their_own_suffix() -> None:
    sample = multi_turn_with(new_picture(1, encoding="jpeg95_444"))
    assert sample.images[0].name == sample.segments[2].image == "img0.jpg"


def test_pictures_are_lossless_and_repeatable() -> None:
    image = Image.effect_noise((48, 32), 60).convert("RGB")
    data = encode_picture(image)
    assert data == encode_picture(image.copy()) and len(picture_sha256(data)) == 64
    assert decode_picture(data).tobytes() == image.tobytes()
    assert probe_picture(data) == probe_picture(encode_picture(image.convert("RGBA")))
    assert (probe_picture(data).width, probe_picture(data).height) == (48, 32)


def test_pictures_of_no_use() -> None:
    with pytest.raises(PictureError, match="multiples of 16"):
        encode_picture(Image.new("RGB", (100, 100)))
    with pytest.raises(PictureError, match="transparent"):
        encode_picture(Image.new("RGBA", (16, 16), (0, 0, 0, 0)))
    with pytest.raises(PictureError, match="mode 'F'"):
        encode_picture(Image.new("F", (16, 16)))
    data = encode_picture(Image.effect_noise((64, 64), 60))
    with pytest.raises(PictureError, match="at most 1000 pixels"):
        decode_picture(data, max_pixels=1000)
    with pytest.raises(PictureError):
        decode_picture(data[: len(data) // 2])
    with pytest.raises(PictureError, match="is no WEBP"):
        decode_picture(b"GIF89a" + data)


def test_committed_files_follow_the_schema() -> None:
    assert stale(files()) == [], "run python -m underpaint.schemas.corpus.write_schema"


def test_one_table_of_fields() -> None:
    for model in MODELS:
        assert all(row.meaning for row in field_rows(model)), model
        assert [f.name for f in arrow_fields(model)] == [row.name for row in field_rows(model)]
    names = [row.name for row in field_rows(Sample)]
    assert set(json_schema()["required"]) == set(names) == set(json_schema()["properties"])
    assert all(f"| `{name}` |" in markdown_tables() for name in names)
