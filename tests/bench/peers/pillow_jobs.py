"""What tests/bench/pictures.c does, with Pillow (and numpy for the last step, the fastest of the plain ways): pillow_jobs.py FOLDER.
A line in is a row's name, a line out its processor seconds over all pictures (0: numpy is missing); "save" writes the preprocessed pictures to a file and names it."""
import glob
import io
import os
import sys
import tempfile
import time
import PIL
from PIL import Image, features
try:
    import numpy as np
except ImportError:
    np = None

SIZE = 224
DATA = [open(p, "rb").read() for p in sorted(glob.glob(os.path.join(sys.argv[1], "*.jpg")), key=os.fsencode)]


def decode(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def resize(im):
    w, h = im.size
    size = (SIZE, int(SIZE * h / w)) if w <= h else (int(SIZE * w / h), SIZE)
    im = im.resize(size, Image.BICUBIC)
    x, y = round((size[0] - SIZE) / 2), round((size[1] - SIZE) / 2)
    return im.crop((x, y, x + SIZE, y + SIZE))


def tensor(im):
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    scale, shift = 1 / (255 * std), -mean / std
    x = np.asarray(im).astype(np.float32)
    x *= scale
    x += shift
    return x


RGB = [decode(d) for d in DATA]
ROWS = {
    "decode": lambda: [decode(d).load() for d in DATA],
    "resize": lambda: [resize(im) for im in RGB],
    "jpeg": lambda: [resize(decode(d)) for d in DATA],
    "tensor": lambda: [tensor(resize(decode(d))) for d in DATA],
}
for line in sys.stdin:
    what = line.strip()
    if what == "about":
        print("Pillow %s, libjpeg-turbo %s" % (PIL.__version__, features.version("libjpeg_turbo")), flush=True)
    elif what == "save":
        with tempfile.NamedTemporaryFile(delete=False) as f:
            for im in RGB:
                f.write(resize(im).tobytes())
        print(f.name, flush=True)
    else:
        t0 = time.process_time()
        if what != "tensor" or np:
            ROWS[what]()
        print(time.process_time() - t0 if what != "tensor" or np else 0, flush=True)
