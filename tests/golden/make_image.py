#!/usr/bin/python3
"""Golden vectors of lib/image: what Pillow makes of small pictures. Needs Pillow (written with 9.4.0, libjpeg-turbo 2.1.5) only.

  make_image.py OUT              the committed tests/golden/image/pillow.bin
  make_image.py OUT FILE.jpg...  the same kinds of record for given photographs

A record: 8 bytes kind, int32 a b c d, uint32 n, n bytes of input, uint32 m, m bytes of output, little-endian.
  decode   a x b picture; input JPEG, output RGB
  turned   the same turned as its EXIF orientation says (photographs only, where they have one)
  resize   a x b noise to c x d
  clip     a x b noise (or the input JPEG) through CLIP's preprocessing at size c;  stretch: both sides to c
"""
import io
import struct
import sys
from PIL import Image, ImageOps


def noise(w, h):
    """The picture tests/unit/image_test.c makes for the same w and h."""
    return Image.frombytes("RGB", (w, h), bytes((((i * 2654435761 + w * 40503 + h) & 0xFFFFFFFF) >> 24) for i in range(w * h * 3)))


def smooth(w, h, mode):
    n = len(mode)
    px = bytes((x * (c + 2) * 5 + y * (7 - c) * 3) % 509 // 2 for y in range(h) for x in range(w) for c in range(n))
    return Image.frombytes(mode, (w, h), px)


def clip(im, size):
    w, h = im.size
    short, long = min(w, h), max(w, h)
    other = int(size * long / short)
    rw, rh = (size, other) if w <= h else (other, size)
    im = im.resize((rw, rh), Image.BICUBIC)
    x, y = int(round((rw - size) / 2.0)), int(round((rh - size) / 2.0))
    return im.crop((x, y, x + size, y + size))


def record(f, kind, a, b, c, d, src, out):
    f.write(kind.encode().ljust(8, b"\0") + struct.pack("<4i", a, b, c, d))
    f.write(struct.pack("<I", len(src)) + src + struct.pack("<I", len(out)) + out)


def jpeg(im, **kw):
    b = io.BytesIO()
    im.save(b, "JPEG", **kw)
    return b.getvalue()


def main(out, photos):
    with open(out, "wb") as f:
        if photos:
            for name in photos:
                data = open(name, "rb").read()
                im = Image.open(io.BytesIO(data)).convert("RGB")
                w, h = im.size
                record(f, "decode", w, h, 0, 0, data, im.tobytes())
                record(f, "clip", w, h, 224, 0, data, clip(im, 224).tobytes())
                record(f, "stretch", w, h, 224, 0, data, im.resize((224, 224), Image.BICUBIC).tobytes())
                if Image.open(io.BytesIO(data)).getexif().get(0x0112):
                    im = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
                    record(f, "turned", im.size[0], im.size[1], 0, 0, data, im.tobytes())
            return
        for w, h, rw, rh in [(37, 23, 10, 7), (8, 8, 20, 21), (50, 1, 5, 5), (1, 50, 6, 9), (64, 48, 17, 48), (64, 48, 64, 11), (29, 31, 29, 31),
                             (640, 5, 16, 3), (3, 700, 2, 16), (33, 17, 32, 18), (1, 1, 4, 4), (100, 100, 1, 1), (161, 121, 24, 24)]:
            record(f, "resize", w, h, rw, rh, b"", noise(w, h).resize((rw, rh), Image.BICUBIC).tobytes())
        for w, h, s in [(50, 37, 16), (37, 50, 16), (16, 16, 16), (20, 20, 16), (16, 33, 16), (47, 16, 16), (9, 14, 16), (300, 7, 8), (101, 67, 23)]:
            record(f, "clip", w, h, s, 0, b"", clip(noise(w, h), s).tobytes())
            record(f, "stretch", w, h, s, 0, b"", noise(w, h).resize((s, s), Image.BICUBIC).tobytes())
        files = [jpeg(smooth(21, 17, "RGB"), quality=90, subsampling=s, progressive=p) for s in (0, 1, 2) for p in (False, True)]
        files += [jpeg(smooth(19, 9, "L"), quality=80), jpeg(smooth(18, 13, "CMYK"), quality=85)]
        ycck = bytearray(files[-1])  # the same coefficients, read as YCCK
        ycck[ycck.index(b"Adobe") + 11] = 2
        files += [bytes(ycck), jpeg(smooth(1, 1, "RGB")), jpeg(smooth(16, 40, "RGB"), quality=30, optimize=True)]
        for data in files:
            im = Image.open(io.BytesIO(data)).convert("RGB")
            record(f, "decode", im.size[0], im.size[1], 0, 0, data, im.tobytes())


main(sys.argv[1], sys.argv[2:])
