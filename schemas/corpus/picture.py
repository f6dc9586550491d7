"""Encodes and decodes pictures: RGB, 8 bit, no alpha, no metadata, sides in multiples of 16.

Lossless WebP is the default, since targets go through a VAE and must not have codec noise; 4:4:4 JPEG is the compact
variant. Equal pixels give equal bytes with the same version of Pillow.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

Encoding = Literal["webp-lossless", "jpeg95_444"]
SUFFIXES: dict[str, str] = {"webp-lossless": "webp", "jpeg95_444": "jpg"}
SIDE_MULTIPLE = 16  # the VAE's stride
MAX_PIXELS = 4096 * 4096
_FORMATS = ("WEBP", "PNG", "JPEG")
_OPAQUE_MODES = ("RGB", "L", "P", "1")


class PictureError(ValueError):
    """Bytes that are no usable picture; the message says what was wrong."""


@dataclass(frozen=True)
class PictureFacts:
    """What a file's header says. `encoding` is "" where a sample may not hold the file as it is."""

    width: int  # pixels
    height: int
    encoding: str


def encode_picture(image: Image.Image, encoding: Encoding = "webp-lossless") -> bytes:
    """Encode a picture as file bytes. Raises PictureError on transparency and on sides that are no multiple of 16."""
    upright = ImageOps.exif_transpose(image)
    if any(side % SIDE_MULTIPLE or not side for side in upright.size):
        width, height = upright.size
        raise PictureError(f"is {width}x{height}; sides must be multiples of {SIDE_MULTIPLE}: set the painter's size")
    rgb = _opaque(upright).convert("RGB")
    bare = Image.frombytes("RGB", rgb.size, rgb.tobytes())  # leaves EXIF, ICC and comments behind
    buffer = io.BytesIO()
    if encoding == "webp-lossless":
        bare.save(buffer, "WEBP", lossless=True, quality=80, method=4, exact=True)
    elif encoding == "jpeg95_444":
        bare.save(buffer, "JPEG", quality=95, subsampling="4:4:4")
    else:
        raise PictureError(f"unknown encoding {encoding!r}; known are {', '.join(get_args(Encoding))}")
    return buffer.getvalue()


def _opaque(image: Image.Image) -> Image.Image:
    """The image, if no pixel is transparent: loaders blend transparent pixels with black or with white."""
    if image.mode in _OPAQUE_MODES and "transparency" not in image.info:
        return image
    if image.mode not in ("RGBA", "LA", "PA", *_OPAQUE_MODES):
        raise PictureError(f"has mode {image.mode!r}; give 8 bit RGB")
    rgba = image.convert("RGBA")
    lowest, _ = rgba.getchannel("A").getextrema()
    if lowest != 255:
        raise PictureError("has transparent pixels; blend it with a background first")
    return rgba


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture as RGB, fully loaded. Raises PictureError on other formats, on size and on broken data.

    The size is taken from the header, before any pixel is decoded.
    """
    image = _open(data, max_pixels)
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, MemoryError) as e:
        raise PictureError(f"does not decode: {e}") from None
    return _opaque(image).convert("RGB")


def probe_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> PictureFacts:
    """Size and encoding from the header alone. Raises PictureError like `decode_picture`."""
    image = _open(data, max_pixels)
    encoding = ""
    if image.format == "WEBP" and image.mode == "RGB" and data[12:16] == b"VP8L":
        encoding = "webp-lossless"
    elif image.format == "JPEG" and image.mode == "RGB" and JpegImagePlugin.get_sampling(image) == 0:
        encoding = "jpeg95_444"
    return PictureFacts(image.width, image.height, encoding)


def _open(data: bytes, max_pixels: int) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        except UnidentifiedImageError:
            raise PictureError(f"is no {', '.join(_FORMATS)} picture ({len(data)} bytes)") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
            raise PictureError(f"is too large: {e}") from None
        except (OSError, ValueError, SyntaxError) as e:
            raise PictureError(f"has a broken header: {e}") from None
    if image.width * image.height > max_pixels:
        raise PictureError(f"is {image.width}x{image.height}; at most {max_pixels} pixels are decoded")
    if getattr(image, "n_frames", 1) != 1:
        raise PictureError("is animated; give one frame")
    return image


def picture_sha256(data: bytes) -> str:
    """SHA-256 of the file's bytes, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()
