"""Speakers on tiny random checkpoints of the classes that people use, with their own processors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.recipe.recipe import load_recipe
from underpaint.stages.answers.critique_answer import critique_schema
from underpaint.stages.common.roles import AskRequest, ModelUnavailable, Turn, each
from underpaint.stages.models.speaker import TransformersSpeaker

TALK = (
    "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
    "{% if p.type == 'image' %}IMAGE{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "<assistant>{% if not enable_thinking | default(true) %}<no thinking>{% endif %}"
)
TEXT = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 4096,
}  # fmt: skip
RED, BLUE = Image.new("RGB", (40, 60), "red"), Image.new("RGB", (64, 64), "blue")
SHORT = {
    "type": "object",
    "properties": {"said": {"type": "string", "maxLength": 8}, "sure": {"enum": ["yes", "no"]}},
    "required": ["said", "sure"],
    "additionalProperties": False,
}


def tokenizer(*special: str) -> PreTrainedTokenizerFast:
    from underpaint.miniature.tokenizer import train_tokenizer

    words = train_tokenizer(['{"said": "a red car", "sure": "yes"}'] * 9, 320, special, 4096, frame=False)
    words.chat_template = TALK
    return words


def text_model(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer()
    config = LlamaConfig(**TEXT, vocab_size=340, eos_token_id=words.eos_token_id, bos_token_id=words.bos_token_id)
    words.pad_token = None  # Llama has none
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)


def qwen(folder: Path) -> None:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    words = tokenizer(*names)
    image, video, start, end = words.convert_tokens_to_ids(list(names))
    config = Qwen2_5_VLConfig(
        text_config=TEXT | {
            "vocab_size": 340, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
            "eos_token_id": words.eos_token_id, "bos_token_id": words.bos_token_id,
            "pad_token_id": words.pad_token_id,
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32,
            "fullatt_block_indexes": [1], "window_size": 56,
        },
        image_token_id=image, video_token_id=video, vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    template = TALK.replace("IMAGE", "".join([names[2], names[0], names[3]]))
    pictures = Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112})
    Qwen2_5_VLProcessor(pictures, words, Qwen2VLVideoProcessor(), chat_template=template).save_pretrained(folder)


def idefics(folder: Path) -> None:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessor, Idefics3Processor

    words = tokenizer("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
    config = Idefics3Config(
        text_config=TEXT | {"model_type": "llama", "vocab_size": 340},
        vision_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 8,
        },
        image_token_id=words.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
    )  # fmt: skip
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    pictures = Idefics3ImageProcessor(
        size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, do_image_splitting=False
    )
    template = TALK.replace("IMAGE", "<image>")
    Idefics3Processor(pictures, words, image_seq_len=4, chat_template=template).save_pretrained(folder)


def gemma(folder: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessor, Gemma3Processor

    names = {"boi_token": "<start_of_image>", "image_token": "<image_soft_token>", "eoi_token": "<end_of_image>"}
    plain = tokenizer(*names.values())
    words = PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        extra_special_tokens=names,
    )  # fmt: skip
    start, soft, end = words.convert_tokens_to_ids(list(names.values()))
    config = Gemma3Config(
        text_config=TEXT | {"vocab_size": 340, "head_dim": 16, "sliding_window": 64},
        vision_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 8,
        },
        mm_tokens_per_image=4, boi_token_index=start, eoi_token_index=end, image_token_index=soft,
        eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id,
    )  # fmt: skip
    model = Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight)  # 0 at first: it would be blind
    model.save_pretrained(folder)
    pictures, template = (
        Gemma3ImageProcessor(size={"height": 32, "width": 32}),
        TALK.replace("IMAGE", "<start_of_image>"),
    )
    Gemma3Processor(pictures, words, image_seq_length=4, chat_template=template).save_pretrained(folder)


SEEING = [qwen, idefics, gemma]


def loaded(make: Callable[[Path], None], folder: Path, **more: Any) -> TransformersSpeaker:
    torch.manual_seed(0)
    make(folder)
    return TransformersSpeaker(folder, **{"batch": 8, "max_new_tokens": 40, **more})


def shown(speaker: TransformersSpeaker, request: AskRequest) -> str:
    """The text of a question as the model reads it."""
    return str(speaker._tokenizer.decode(speaker._inputs([request])["input_ids"][0]))


@pytest.mark.parametrize("make", [text_model, *SEEING])
def test_a_conversation_is_answered_alone_as_in_a_batch(make: Callable[[Path], None], tmp_path: Path) -> None:
    """System message, an example with a picture, two pictures: every row has its own number, and its own form."""
    speaker, sees = loaded(make, tmp_path), make in SEEING
    one, two = ((RED,), (BLUE, RED)) if sees else ((), ())
    shots = (Turn("user", "Shown?", one), Turn("assistant", "yes"))
    requests = [
        AskRequest("a", "One?", 1, one, system="Be brief.", turns=shots, schema=SHORT),
        AskRequest("b", "Two pictures, and many more words?", 2, two, 0.7),
        AskRequest("c", "Again?", 3, two, 0.7, schema=SHORT, follow_up=(Turn("assistant", "x"), Turn("user", "No."))),
    ]
    answers = speaker.ask(requests)
    assert answers == [speaker.ask([request])[0] for request in requests]
    for i in (0, 2):
        jsonschema.validate(json.loads(answers[i].text), SHORT)
    assert [answer.cut for answer in answers] == [False, True, False]  # nothing ends what a random model babbles
    words = shown(speaker, requests[0])
    assert words.index("<system>Be brief.") < words.index("Shown?<assistant>yes") < words.index("One?<assistant>")
    assert shown(speaker, requests[2]).endswith("Again?<assistant>x<user>No.<assistant>")


@pytest.mark.parametrize("make", SEEING)
def test_pictures_are_seen_each_in_its_place(make: Callable[[Path], None], tmp_path: Path) -> None:
    speaker = loaded(make, tmp_path, logprobs=True, max_new_tokens=3)
    pairs = [(RED, BLUE), (BLUE, RED), (RED, RED), (RED, BLUE)]
    first, swapped, same, again = (speaker.ask([AskRequest("a", "Which?", 1, pair)])[0].logprobs for pair in pairs)
    assert first == again and len({first, swapped, same}) == 3


def test_probabilities_are_the_models_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one pass over question and answer gives them, though the answer was drawn and held to a form."""
    speaker = loaded(text_model, tmp_path, logprobs=True)
    request = AskRequest("a", "Why?", 5, temperature=1.0, schema=SHORT)
    written: list[torch.Tensor] = []
    generate = speaker._model.generate
    monkeypatch.setattr(speaker._model, "generate", lambda **k: written.append(generate(**k)) or written[-1])
    (answer,) = speaker.ask([request])
    asked, all_tokens = speaker._inputs([request])["input_ids"].shape[1], written[0].clone()
    given = speaker._model(all_tokens).logits[0, asked - 1 : -1].log_softmax(-1)
    wanted = given.gather(1, all_tokens[0, asked:, None])[:-1, 0].tolist()  # the last token is the end
    assert len(answer.logprobs) == len(wanted) > 10
    assert all(math.isclose(p, q, abs_tol=1e-4) for (_, p), q in zip(answer.logprobs, wanted, strict=True))
    assert answer.text.startswith("".join(token for token, _ in answer.logprobs[:3]))
    assert loaded(text_model, tmp_path).ask([request])[0].logprobs == ()


def test_babble_held_to_the_form_of_a_critique_is_one_or_is_cut(tmp_path: Path) -> None:
    speaker = loaded(text_model, tmp_path, max_new_tokens=400)
    requests = [
        AskRequest("critique_text", "Judge.", seed, temperature=0.3, schema=critique_schema()) for seed in range(8)
    ]
    answers = speaker.ask(requests)
    for answer in (a for a in answers if not a.cut):
        jsonschema.validate(json.loads(answer.text), critique_schema())
    assert any(not a.cut for a in answers) and all(a.text.startswith('{"observed": [') for a in answers)
    assert answers == speaker.ask(requests)
    loose = loaded(text_model, tmp_path, structured=False)
    assert not loose.ask(requests[:1])[0].text.startswith("{")


def test_a_text_model_refuses_pictures(tmp_path: Path) -> None:
    speaker = loaded(text_model, tmp_path, max_new_tokens=2)
    fine, shown_one = each(speaker.ask, [AskRequest("a", "q", 1), AskRequest("a", "q", 1, (RED,))])
    assert not isinstance(fine, Exception) and "sees no pictures" in str(shown_one)
    with pytest.raises(ModelUnavailable, match="sees no pictures"):
        each(speaker.ask, [AskRequest("a", "q", seed, (RED,)) for seed in range(4)])


def test_a_template_is_given_further_variables_and_may_know_no_system_message(tmp_path: Path) -> None:
    request = AskRequest("a", "Why?", 1, system="Be brief.")
    assert shown(loaded(text_model, tmp_path), request) == "<system>Be brief.<user>Why?<assistant>"
    quiet = loaded(text_model, tmp_path, chat={"enable_thinking": False})
    assert shown(quiet, request).endswith("<assistant><no thinking>")
    for refusal in ("{{ raise_exception('no system role') }}", ""):  # as Gemma 2 does; or it leaves the message out
        deaf = tokenizer()
        deaf.chat_template = "{% for m in messages if m.role != 'system' or SAY %}" + TALK.split("%}", 1)[1]
        deaf.chat_template = deaf.chat_template.replace(" or SAY", " or true" if refusal else "").replace(
            "<{{ m.role }}>", "{% if m.role == 'system' %}" + refusal + "{% endif %}<{{ m.role }}>"
        )
        deaf.save_pretrained(tmp_path)
        assert shown(TransformersSpeaker(tmp_path), request) == "<user>Be brief.\n\nWhy?<assistant>"


def test_a_tokenizer_that_cannot_be_held_to_a_schema_is_named(tmp_path: Path) -> None:
    from underpaint.stages.models.decoding import schema_tokenizer

    with pytest.raises(ValueError, match=r"list.*set `structured: false`"):
        schema_tokenizer([], 10, [1])
    speaker = loaded(text_model, tmp_path)
    (error,) = each(speaker.ask, [AskRequest("a", "q", 1, schema={"type": "object", "minProperties": "x"})])
    assert isinstance(error, ValueError) and "set `structured: false`" in str(error)


def test_a_recipe_whose_judge_sees_no_pictures_is_refused(
    recipe: dict[str, Any], write_recipe: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    """A writer needs none."""
    text_model(tmp_path / "texts")
    recipe["models"]["texts"] = {"kind": "transformers", "checkpoint": "./texts"}
    recipe["roles"]["writer"] = "texts"
    load_recipe(write_recipe(recipe))
    recipe["roles"]["arbiter"] = "texts"
    with pytest.raises(
        UserError, match=r"field models\.texts: it is shown pictures by critique_picture, but it is a text"
    ):
        load_recipe(write_recipe(recipe))
