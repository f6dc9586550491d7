"""Traces one shipped sample: where its bytes are, what it says, and all rows of the store it was made from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pyarrow.parquet as pq

from underpaint.pipeline.common.errors import UserError
from underpaint.pipeline.corpus.shard import read_members
from underpaint.pipeline.engine.run_folder import Run
from underpaint.pipeline.selection.reference import Reference
from underpaint.schemas.corpus.webdataset import decode
from underpaint.stages.all_stages import BRANCHES


def trace(run: Run, id: str) -> dict[str, Any]:
    """All about the sample `id` of the published corpus. Raises UserError where corpus or sample does not exist."""
    listed = run.corpus / "manifest.parquet"
    if not listed.exists():
        raise UserError(f"{run.root} holds no corpus yet; build it first")
    rows = pq.read_table(listed, columns=["shard", "position"], filters=[("id", "=", id)]).to_pylist()
    if not rows:
        raise UserError(f"{run.corpus} has no sample {id!r}; its ids are in {listed}, column id")
    samples = read_members(run.corpus / rows[0]["shard"])
    members = next(({n: (m.offset, m.read()) for n, m in found.items()} for key, found in samples if key == id), {})
    sample, _ = decode({name: data for name, (_, data) in members.items()})
    reference = _reference(run, id)
    return {
        "id": id,
        "shard": {"path": str(run.corpus / rows[0]["shard"]), "position": rows[0]["position"]},
        "members": [{"name": n, "offset": at, "bytes": len(data)} for n, (at, data) in members.items()],
        "lot": reference.sample // run.recipe.lot_size,
        "origin": {k: getattr(reference, k) for k in ("sample", "rollout", "step")},
        "sample": {**sample.to_dict(), "extra": json.loads(sample.extra)},
        "store": _store_rows(run, reference),
    }


def _reference(run: Run, id: str) -> Reference:
    for line in (run.root / "selection.jsonl").read_text().splitlines():
        fields = json.loads(line)
        if fields["id"] == id:
            return Reference(**fields)
    raise UserError(f"{run.root / 'selection.jsonl'} does not list {id}; build again, so that it fits the corpus")


def _store_rows(run: Run, reference: Reference) -> list[dict[str, Any]]:
    """By stage: the table's file, the models, and the rows from which the sample was made (pictures by digest)."""
    subset = reference.kind.subset
    lot = reference.sample // run.recipe.lot_size
    found: list[dict[str, Any]] = []
    for stage in BRANCHES[subset.branch]:
        node = run.nodes[stage]
        if not run.store.is_done(node, lot):
            found.append({"stage": stage, "file": "", "rows": [], "note": "the recipe has changed since; build again"})
            continue
        rows = run.store.table(node, lot, samples=[reference.sample]).to_pylist()
        mine = [r for r in rows if subset.whole_trajectory or _led_to(r, reference)]
        rows = [{k: _plain(v) for k, v in r.items()} for r in mine]
        cast = run.recipe.cast(node.stage.roles)
        playing = [*cast.items(), *((f"{role} of a template", name) for name, role in node.named)]
        models = {role: {"name": name, **run.recipe.models[name].identity()} for role, name in playing}
        file = str(run.store.table_file(node, lot))
        found.append({"stage": stage, "file": file, "models": models, "rows": rows})
    return found


def _led_to(row: dict[str, Any], reference: Reference) -> bool:
    return bool(row.get("rollout", reference.rollout) == reference.rollout and row.get("step", 0) <= reference.step)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()}" if value else ""
    return value


def trace_lines(found: dict[str, Any]) -> list[str]:
    """`trace` as text: the sample's segments in order, then the rows of the store."""
    sample, shard, origin = found["sample"], found["shard"], found["origin"]
    lines = [
        f"{found['id']}: {sample['subset']}, {sample['polarity']}, {sample['split']}, {sample['category']}",
        f"shard     {shard['path']}, sample {shard['position']}",
        *(f"          {m['name']} at byte {m['offset']}, {m['bytes']} bytes" for m in found["members"]),
        f"origin    lot {found['lot']}, sample {origin['sample']}, rollout {origin['rollout']}, step {origin['step']}",
        "",
    ]
    pictures = {p["name"]: p for p in sample["images"]}
    for s in sample["segments"]:
        kind = "target " if s["loss"] else "context"
        verdict = f" [{s['verdict']}]" if s["verdict"] else ""
        made = f" ({s['model']}, seed {s['seed']})" if s["model"] else ""
        lines.append(f"{kind} {s['stage']:<8}{s['step']} {s['text'] or s['image']}{verdict}{made}")
        for score in pictures.get(s["image"], {}).get("scores", []):
            lines.append(f"{'':<19}{score['name']} {score['value']:.4f} ({score['model']})")
    for stage in found["store"]:
        lines += ["", f"{stage['stage']}: {stage['file'] or stage['note']}"]
        for row in stage["rows"]:
            lines += [f"  {name}: {value}" for name, value in row.items()] + ["  --"]
    return lines
