#!/usr/bin/env python3
"""The stream of tests/bench/captions.c in plain PyTorch and Pillow: torch_captions.py CHECKPOINT ENCODER FOLDER RECORDS f32|bf16 THREADS BATCH.

Reads the same two safetensors files, decodes and resizes in threads of its own while the batch before is captioned, encodes with scaled_dot_product_attention and
searches with key and value caches, 5 hypotheses, 20 words; no hypothesis ends early, which random weights hardly ever do. bf16: weights and activations."""
import json
import mmap
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

START = time.monotonic()
import torch
import torch.nn.functional as F
from PIL import Image

CKPT, ENCODER, FOLDER, RECORDS, TYPE, THREADS, BATCH = sys.argv[1:]
DTYPE = torch.bfloat16 if TYPE == "bf16" else torch.float32
BATCH, BEAM, T, CELLS, D, HEADS, LAYERS = int(BATCH), 5, 20, 49, 768, 12, 12
torch.set_num_threads(int(THREADS))


def tensors(path):
    with open(path, "rb") as f:
        m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)
    n = int.from_bytes(m[:8], "little")
    kinds = {"F32": torch.float32, "F16": torch.float16}
    out = {}
    for name, t in json.loads(m[8:8 + n]).items():
        if name != "__metadata__" and t["dtype"] in kinds:
            a, b = t["data_offsets"]
            kind = kinds[t["dtype"]]
            x = torch.frombuffer(m, dtype=kind, count=(b - a) // (2 if kind == torch.float16 else 4), offset=8 + n + a)
            out[name] = x.view(t["shape"]).to(DTYPE)
    return out


W, E = tensors(CKPT), tensors(ENCODER)
MEAN, STD = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1), torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
E["visual.patch"] = E["visual.conv1.weight"].flatten(1)


def picture(name):
    im = Image.open(FOLDER + "/" + name).convert("RGB")
    w, h = im.size
    w, h = (224, 224 * h // w) if w < h else (224 * w // h, 224)
    im = im.resize((w, h), Image.BICUBIC)
    x, y = round((w - 224) / 2), round((h - 224) / 2)
    return torch.frombuffer(bytearray(im.crop((x, y, x + 224, y + 224)).tobytes()), dtype=torch.uint8).view(224, 224, 3)


def split(x):
    return x.view(x.shape[0], x.shape[1], HEADS, -1).transpose(1, 2)


def norm(x, w, name):
    return F.layer_norm(x, (D,), w[name + ".weight"], w[name + ".bias"])


def linear(x, w, name):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])


def encode(u8):
    x = ((u8.permute(0, 3, 1, 2) / 255 - MEAN) / STD).to(DTYPE)
    n = len(x)
    x = x.view(n, 3, 7, 32, 7, 32).permute(0, 2, 4, 1, 3, 5).reshape(n, CELLS, -1) @ E["visual.patch"].t()
    x = torch.cat([E["visual.class_embedding"].expand(n, 1, D), x], 1) + E["visual.positional_embedding"]
    x = norm(x, E, "visual.ln_pre")
    for i in range(LAYERS):
        p = "visual.transformer.resblocks.%d." % i
        q, k, v = (split(y) for y in F.linear(norm(x, E, p + "ln_1"), E[p + "attn.in_proj_weight"], E[p + "attn.in_proj_bias"]).split(D, 2))
        x = x + linear(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape), E, p + "attn.out_proj")
        y = linear(norm(x, E, p + "ln_2"), E, p + "mlp.c_fc")
        x = x + linear(y * torch.sigmoid(1.702 * y), E, p + "mlp.c_proj")
    return norm(x, E, "visual.ln_post")[:, 1:]


def blocks(x, caches, at):
    """x (R,n,D) at position `at`; caches: keys and values (R,H,CELLS+T,d) of each layer."""
    n = x.shape[1]
    for i, (ck, cv) in enumerate(caches):
        p = "h.%d." % i
        q, k, v = (split(y) for y in linear(norm(x, W, p + "ln_1"), W, p + "attn.c_attn").split(D, 2))
        ck[:, :, at:at + n], cv[:, :, at:at + n] = k, v
        y = F.scaled_dot_product_attention(q, ck[:, :, :at + n], cv[:, :, :at + n], is_causal=n > 1)
        x = x + linear(y.transpose(1, 2).reshape(x.shape), W, p + "attn.c_proj")
        x = x + linear(F.gelu(linear(norm(x, W, p + "ln_2"), W, p + "mlp.c_fc"), approximate="tanh"), W, p + "mlp.c_proj")
    return x


def search(grid):
    n = len(grid)
    empty = (n, HEADS, CELLS + T, D // HEADS)
    caches = [(grid.new_zeros(empty), grid.new_zeros(empty)) for _ in range(LAYERS)]
    blocks(linear(grid, W, "prefix") + W["wpe.weight"][:CELLS], caches, 0)
    word, score, said, first = torch.ones(n, dtype=torch.long), torch.zeros(n, 1), torch.zeros(n, 0, dtype=torch.long), torch.arange(n)[:, None]
    for t in range(T):
        width = score.shape[1]
        x = blocks(W["wte.weight"][word][:, None] + W["wpe.weight"][CELLS + t], caches, CELLS + t)
        z = (norm(x[:, 0], W, "ln_f") @ W["wte.weight"].t()).float()
        best, at = z.topk(BEAM, -1)
        total = (best - z.logsumexp(-1, keepdim=True) + score.view(-1, 1)).view(n, -1)
        score, pick = total.topk(BEAM, -1)
        rows = (first * width + pick // BEAM).flatten()
        word = at.view(n, -1).gather(1, pick).flatten()
        said = torch.cat([said[rows], word[:, None]], 1)
        if t == 0:
            caches = [(k[rows], v[rows]) for k, v in caches]
        else:  # what the image gave is the same for all its hypotheses
            for k, v in caches:
                k[:, :, CELLS:CELLS + t + 1], v[:, :, CELLS:CELLS + t + 1] = k[rows, :, CELLS:CELLS + t + 1], v[rows, :, CELLS:CELLS + t + 1]
    return said.view(n, BEAM, T)[:, 0]


with torch.inference_mode(), ThreadPoolExecutor(int(THREADS)) as pool:
    print("ready after %.2f s, %.2f s of processor time" % (time.monotonic() - START, time.process_time()), file=sys.stderr)
    names = [json.loads(line)["file"] for line in open(RECORDS)]
    pictures = pool.map(picture, names)
    for i in range(0, len(names), BATCH):
        batch = torch.stack([next(pictures) for _ in names[i:i + BATCH]])
        for said in search(encode(batch)).tolist():
            print(said)
print("%.0f MB" % (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), file=sys.stderr)
