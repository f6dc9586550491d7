"""The model wrappers over the real miniature checkpoints; a checkpoint that was not trained yet is skipped."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from underpaint.miniature.dialogues import MAKERS, picture_dialogue, text_dialogue
from underpaint.miniature.edits import random_edit
from underpaint.miniature.minimal_edits import EDIT_KINDS, held_out
from underpaint.miniature.train import CHECKPOINTS
from underpaint.miniature.world import render, vocabulary
from underpaint.schemas.scenes.critique import Side, Verdict
from underpaint.stages.answers.critique_answer import parse_critique
from underpaint.stages.common.roles import AskRequest, PaintRequest
from underpaint.stages.judgement.entailment import weigh_observations
from underpaint.stages.models.decoding import SeededSampling
from underpaint.stages.models.painter import DiffusersPainter
from underpaint.stages.models.scorer import OpenClipScorer
from underpaint.stages.models.speaker import TransformersSpeaker


def _trained(name: str) -> Path:
    folder = CHECKPOINTS / name
    assert list(folder.rglob("*.safetensors")), f"{name} is missing: its checkpoint belongs to the repository"
    return folder


# ---- trainers -----------------------------------------------------------------------------------------


def test_an_untrained_painter_copies() -> None:
    """Whatever the text and the noise: what training adds is the edit."""
    from underpaint.miniature.trainers.painter import build

    torch.manual_seed(0)
    previous = 1.5 * torch.randn(4, 16, 8, 8)
    with torch.no_grad():
        noisy, words = torch.randn(4, 16, 8, 8), torch.randn(4, 48, 160)
        painted = build(160, 0.7)(torch.cat([noisy, previous], 1), torch.tensor(999), words).sample
    assert (painted - 0.7 * previous).abs().max() < 0.03


# ---- painter ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def painter() -> DiffusersPainter:
    return DiffusersPainter(_trained("painter"), batch=4, steps=4)


def _paint_requests(n: int) -> list[PaintRequest]:
    rng = random.Random("test/paint")
    cases = [random_edit(rng) for _ in range(n)]
    return [
        PaintRequest(render(c.before, 1) if c.before else None, c.instruction, "", seed=i) for i, c in enumerate(cases)
    ]


def test_painter_paints_in_order_and_again_the_same(painter: DiffusersPainter) -> None:
    requests = _paint_requests(6)
    first, second = painter.paint(requests), painter.paint(requests)
    assert [p.mode for p in first] == ["RGB"] * 6 and {p.size for p in first} == {(64, 64)}
    assert [p.tobytes() for p in first] == [p.tobytes() for p in second]


def test_painter_noise_is_the_requests_own(painter: DiffusersPainter) -> None:
    """Alone or in a batch the picture is the same up to rounding; another seed gives another picture."""
    requests = _paint_requests(4)
    together = painter.paint(requests)
    for request, picture in zip(requests, together, strict=True):
        (alone,) = painter.paint([request])
        assert np.abs(np.asarray(alone, int) - np.asarray(picture, int)).max() <= 2
    other = PaintRequest(requests[0].previous, requests[0].instruction, "", seed=99)
    assert painter.paint([other])[0].tobytes() != together[0].tobytes()


def test_painter_resizes_what_it_is_given(painter: DiffusersPainter) -> None:
    large = Image.new("L", (200, 128), 255)
    (picture,) = painter.paint([PaintRequest(large, "Add a red car at the top left.", "", 0)])
    assert picture.size == (64, 64)


def test_unknown_pipeline_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    with pytest.raises(ValueError, match=r"StableDiffusionPipeline.*FluxKontextPipeline"):
        DiffusersPainter(tmp_path)


def test_missing_checkpoint_and_dtype_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        DiffusersPainter(tmp_path / "nowhere")
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxKontextPipeline"}))
    with pytest.raises(ValueError, match="unknown dtype 'int4'"):
        DiffusersPainter(tmp_path, dtype="int4")


def test_kontext_paints_with_and_without_a_picture(tmp_path: Path) -> None:
    """The production pipeline class, tiny and untrained: sizes, order and seeds."""
    _tiny_kontext(tmp_path)
    kontext = DiffusersPainter(tmp_path, batch=2, steps=2, guidance=2.5, size=64)
    pictures = kontext.paint(_paint_requests(5))
    assert {p.size for p in pictures} == {(64, 64)} and len(pictures) == 5
    assert [p.tobytes() for p in kontext.paint(_paint_requests(5))] == [p.tobytes() for p in pictures]


def _tiny_kontext(folder: Path) -> None:
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        FluxKontextPipeline,
        FluxTransformer2DModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    from underpaint.miniature.tokenizer import train_tokenizer

    torch.manual_seed(0)
    words = train_tokenizer(["Paint a red car at the top left."] * 9, 300, (), 16, frame=True)
    clip = CLIPTextConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, projection_dim=16, eos_token_id=words.eos_token_id,
    )  # fmt: skip
    t5 = T5Config(vocab_size=len(words), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    transformer = FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=16, guidance_embeds=True, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=["DownEncoderBlock2D"] * 4, norm_num_groups=1,
        up_block_types=["UpDecoderBlock2D"] * 4, latent_channels=4, layers_per_block=1, shift_factor=0.0,
    )  # fmt: skip
    FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, text_encoder=CLIPTextModel(clip), tokenizer=words,
        text_encoder_2=T5EncoderModel(t5), tokenizer_2=words, transformer=transformer,
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip


# ---- speaker ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speaker() -> TransformersSpeaker:
    return TransformersSpeaker(_trained("speaker"), batch=8, max_new_tokens=200)


def _questions(temperature: float) -> list[AskRequest]:
    rng = random.Random("test/ask")
    made = [make(rng) for _ in range(3) for make in MAKERS.values()]  # with and without pictures, mixed
    return [
        AskRequest(d.task, d.request, i, (d.picture,) if d.picture else (), temperature) for i, d in enumerate(made)
    ]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_speaker_answers_alone_as_in_a_batch(speaker: TransformersSpeaker, temperature: float) -> None:
    requests = _questions(temperature)
    together = speaker.ask(requests)
    assert together == [speaker.ask([r])[0] for r in requests]
    assert together == speaker.ask(requests[::-1])[::-1]


def test_speaker_answers_in_the_asked_form(speaker: TransformersSpeaker) -> None:
    for request, answer in zip(_questions(0.0), speaker.ask(_questions(0.0)), strict=True):
        assert not answer.cut and not answer.logprobs
        if request.task == "write":
            assert answer.text == "done" or answer.text.startswith("<ins>")
        else:
            assert set(json.loads(answer.text)) == {"observed", "findings", "verdict", "analysis", "correction"}


def test_speaker_looks_at_the_picture(speaker: TransformersSpeaker) -> None:
    d = picture_dialogue(random.Random("test/look"), "")
    other = Image.new("RGB", (64, 64), "white")
    right, blank = speaker.ask([AskRequest(d.task, d.request, 0, (p,)) for p in (d.picture, other)])
    assert json.loads(right.text)["verdict"] == "consistent" and json.loads(blank.text)["verdict"] == "conflict"


def test_what_the_speaker_observes_tells_conflicts_from_unfinished_steps(speaker: TransformersSpeaker) -> None:
    """Its own verdicts are weak (miniature/README.md); those drawn from its observations are what the recipe uses."""
    rng = random.Random("test/judge")
    shares = []
    for fault in ("", "noun"):
        cases = [text_dialogue(rng, fault) for _ in range(16)]
        answers = speaker.ask([AskRequest(d.task, d.request, 0) for d in cases])
        said = [
            weigh_observations("conclude", Side.TEXT, d.context, vocabulary(), parse_critique(a.text)).critique
            for d, a in zip(cases, answers, strict=True)
        ]
        shares.append(sum(c.verdict is Verdict.CONFLICT for c in said) / len(cases))
    assert shares[0] < 0.3 < 0.7 < shares[1]


def test_sampling_follows_the_softmax_and_leaves_greedy_rows() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0]])
    sampler = SeededSampling([AskRequest("write", "", seed=5, temperature=0.5), AskRequest("write", "", seed=6)])
    counts = torch.zeros(4)
    for _ in range(4000):
        scores = sampler(torch.zeros(2, 1), logits.repeat(2, 1))
        counts[scores[0].argmax()] += 1
        assert torch.equal(scores[1], logits[0])
    assert torch.allclose(counts / 4000, (logits[0] / 0.5).softmax(0), atol=0.03)


# ---- scorer -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scorer() -> OpenClipScorer:
    return OpenClipScorer(_trained("scorer"), batch=32)


def test_scorer_gives_unit_vectors(scorer: OpenClipScorer) -> None:
    texts = scorer.embed_texts(["A red car on a sand background.", "Two blue fish at the top."])
    pictures = scorer.embed_pictures([Image.new("RGB", (100, 100))])
    assert texts.dtype == pictures.dtype == np.float32 and texts.shape[1] == pictures.shape[1]
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert scorer.embed_texts([]).shape == scorer.embed_pictures([]).shape == (0, texts.shape[1])


@pytest.mark.parametrize("kind", [k for k in EDIT_KINDS if k != "relation"])  # measured: it does not see relations yet
def test_scorer_ranks_the_right_text_above_its_edit(scorer: OpenClipScorer, kind: str) -> None:
    pairs = held_out(random.Random("test/score"), kind, 40)
    pictures = scorer.embed_pictures([render(a.graph, a.seed) for a, _ in pairs])
    right = (pictures * scorer.embed_texts([a.text for a, _ in pairs])).sum(1)
    wrong = (pictures * scorer.embed_texts([b.text for _, b in pairs])).sum(1)
    assert right.mean() > wrong.mean()
    assert (right > wrong).mean() > 0.6


def test_scorer_needs_weights_or_a_tag(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \*\.safetensors"):
        OpenClipScorer(tmp_path)
    with pytest.raises(ValueError, match="`pretrained` tag"):
        OpenClipScorer("ViT-B-32")
