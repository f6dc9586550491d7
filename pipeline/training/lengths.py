"""Computes the packed length of an item: its text tokens or picture patches, and two control tokens."""

from __future__ import annotations

from dataclasses import dataclass

from underpaint.pipeline.training.sequence import ItemKind

CONTROL_TOKENS = 2  # an item's opening and closing token
MAX_RESIZED_PIXELS = 14 * 14 * 9 * 1024


@dataclass(frozen=True)
class Resize:
    """The sizes that BAGEL's picture transform gives (data/transforms.py, MaxLongEdgeMinShortEdgeResize), in pixels."""

    stride: int
    longest: int
    shortest: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the transform, multiples of the stride."""
        scale = max(min(self.longest / max(width, height), 1.0), self.shortest / min(width, height))
        width, height = self._scaled(width, height, scale)
        if width * height > MAX_RESIZED_PIXELS:
            width, height = self._scaled(width, height, MAX_RESIZED_PIXELS / (width * height))
        if max(width, height) > self.longest:
            width, height = self._scaled(width, height, self.longest / max(width, height))
        return width, height

    def tokens(self, width: int, height: int) -> int:
        """The number of patches after the transform."""
        wide, high = self.size(width, height)
        return wide * high // self.stride**2

    def _scaled(self, width: int, height: int, scale: float) -> tuple[int, int]:
        return self._divisible(round(width * scale)), self._divisible(round(height * scale))

    def _divisible(self, pixels: int) -> int:
        return max(self.stride, round(pixels / self.stride) * self.stride)


@dataclass(frozen=True)
class Pixels:
    """The sizes at which the VAE and the ViT see a picture."""

    vae: Resize
    vit: Resize

    @classmethod
    def of(cls, px: int, vit: int) -> Pixels:
        """Sizes such that every picture is resized to these sides in pixels: max_image_size = min_image_size."""
        return cls(Resize(16, px, px), Resize(14, vit, vit))

    def tokens(self, kind: ItemKind, width: int, height: int) -> int:
        """The tokens of a stored picture as this kind of item: its patches and two control tokens."""
        resize = self.vit if kind == "vit_image" else self.vae
        return CONTROL_TOKENS + resize.tokens(width, height)
