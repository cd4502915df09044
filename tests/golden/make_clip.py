#!/usr/bin/env python3
"""Golden states of CLIP: folders of tiny random weights as transformers and open_clip publish them, outputs and gradients in float64.

Made with torch 2.15.0, transformers 5.24.0 and open_clip 3.3.0. Writes beside itself (or in argv[1]):
  clip_transformers/   CLIPModel, half precision, two shards with their index, config.json
  clip_open_clip/      a vision transformer with exact GELU, bfloat16, open_clip_model.safetensors, open_clip_config.json
  clip_resnet/         the same of a residual network with x*sigmoid(1.702x) in its text tower, half precision
  clip_merges.txt.gz   a small byte-pair vocabulary as CLIP publishes its own, learned here
  clip.json            captions with the ids open_clip's tokenizer gives them, and CLIPScores of some of them
each folder with expected.safetensors (the last also with expected_train.safetensors: statistics of the batch) and bf16.safetensors.

Pixels, tokens and the weights of the objective follow formulas that the test repeats:
  pixel i of the batch  = ((i * 2654435761 mod 2^32) >> 13) & 255
  tokens                in the file ("in.tokens"), the end of each text is the largest number
  cotangent i of output = sin(0.7 i + 0.3)         (global vectors first, then, numbered afresh, the grid, the texts)
Gradients are of sum(cotangent * output). A gradient is stored as "grad.<parameter>", the parameter named as OpenAI does ("text." before those of the text
tower): in our layout, every stride-th element so that at most 96 remain, then the sum of g_i * sin(0.37 i + 1) over all elements i, then the largest |g_i|.
"outN.*" are outputs at N pixels. bf16.safetensors: the same tensors' max|a - b| / max|b| of PyTorch's bfloat16 autocast against float64, for DRAWS networks of these
shapes whose weights follow a formula (drawn()), too.
"""
import gzip
import json
import math
import os
import shutil
import sys
import zlib

import numpy as np
import open_clip
import torch
import transformers
from open_clip.model import CLIP, resize_pos_embed
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MERGES, POSITIONS = 126, 24
VOCAB = 512 + MERGES + 2
B, E = VOCAB - 2, VOCAB - 1
TOKENS = [[B, 4, 5, 6, E, 0, 0], [B, 7, 7, 1, 530, 637, E], [B, E, 0, 0, 0, 0, 0]]
CAPTIONS = [
    "A man riding a wave on top of a surfboard.", "Two dogs play in the snow, near a fence!", "The man's hat isn't red; it's 12 inches wide",
    "A photo of a cat & a dog", "a   woman\tin a b\u00adl\u00fce dress at 10:30 p.m.", "\u201cNo parking\u201d sign on the street\u2019s side",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m E\u0301", "&lt;b&gt; &amp;amp; &eacute; &#39;x&#x27; &mdash;", "\uff21\uff22\u3000\uff11 \ufb01sh \u212a",
    "\U0001f436 \u65e5\u672c\u8a9e dog", "\x27\x27\x27 they'll we've I'd", "x", "", "the the the " * 30]


def pixels(shape):
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    return (((i * 2654435761) % (1 << 32)) >> 13 & 255).astype(np.uint8).reshape(shape)


def cotangent(t):
    i = torch.arange(t.numel(), dtype=torch.float64)
    return torch.sin(0.7 * i + 0.3).reshape(t.shape)


def normalised(u8):
    x = torch.from_numpy(u8).double() / 255
    mean, std = (torch.tensor(np.array(v, dtype=np.float32)).double() for v in (MEAN, STD))
    return ((x - mean) / std).permute(0, 3, 1, 2)


def randomise(model, seed, half):
    """Small random values, each exactly a number of the format they are published in."""
    gen = torch.Generator().manual_seed(seed)
    tensors = [(n, p) for n, p in model.named_parameters()] + [(n, b) for n, b in model.named_buffers() if "running" in n]
    for name, t in tensors:
        r = torch.randn(t.shape, generator=gen, dtype=torch.float32).double()
        if name.endswith("running_var"):
            v = 0.5 + r * r
        elif name.endswith("logit_scale"):
            v = 2 + r
        elif t.dim() > 1:
            v = 1.3 * r / math.sqrt(t[0].numel())
        elif name.endswith("weight"):
            v = 1 + 0.2 * r
        else:
            v = 0.2 * r
        t.data = v.to(half).to(t.dtype)


# ---- the two implementations under one interface: outputs(x, tokens) -> global, grid, text; named() -> OpenAI's names of the parameters

class Transformers:
    def __init__(self):
        vision = dict(hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8, projection_dim=12)
        text = dict(hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, vocab_size=VOCAB, max_position_embeddings=POSITIONS,
                    projection_dim=12, bos_token_id=B, eos_token_id=E)
        config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=12)
        config._attn_implementation = "eager"
        self.model = transformers.CLIPModel(config).double().eval()

    def outputs(self, x, tokens):
        m = self.model
        v = m.vision_model(pixel_values=x, interpolate_pos_encoding=x.shape[-1] != 32)
        grid = m.vision_model.post_layernorm(v.last_hidden_state[:, 1:])
        t = m.text_model(input_ids=tokens)
        return m.visual_projection(v.pooler_output), grid, m.text_projection(t.pooler_output)

    def named(self):
        def name(n):
            text = n.startswith("text")
            for a, b in (("text_model.", ""), ("vision_model.", ""), ("embeddings.patch_embedding", "conv1"), ("embeddings.class_embedding", "class_embedding"),
                         ("embeddings.position_embedding.weight", "positional_embedding"), ("pre_layrnorm", "ln_pre"), ("post_layernorm", "ln_post"),
                         ("final_layer_norm", "ln_final"), ("embeddings.token_embedding", "token_embedding"), ("encoder.layers", "transformer.resblocks"),
                         ("layer_norm", "ln_"), ("self_attn", "attn"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
                         ("visual_projection.weight", "proj"), ("text_projection.weight", "text_projection")):
                n = n.replace(a, b)
            return ("text." if text else "") + n
        return {name(n): p for n, p in self.model.named_parameters() if n != "logit_scale"}

    def gradients(self):
        g = {n: p.grad for n, p in self.named().items()}
        for n in [n for n in g if "attn.q_proj" in n]:
            parts = [g.pop(n.replace("q_proj", k + "_proj")) for k in "qkv"]
            g[n.replace("q_proj.", "in_proj_")] = torch.cat(parts)
        return g

    def save(self, folder, half):
        self.model.to(half).save_pretrained(folder, max_shard_size="30KB")


class OpenClip:
    def __init__(self, vision, quick):
        text = dict(context_length=POSITIONS, vocab_size=VOCAB, width=16, heads=2, layers=2)
        self.config = dict(embed_dim=12, quick_gelu=quick, vision_cfg=vision, text_cfg=text)
        self.model = CLIP(**self.config, output_dict=True).double().eval()
        self.visual = self.model.visual

    def outputs(self, x, tokens):
        v = self.visual
        if hasattr(v, "attnpool"):
            x = v.stem(x)
            for i in (1, 2, 3, 4):
                x = getattr(v, "layer%d" % i)(x)
            glob, grid = v.attnpool(x), x.flatten(2).transpose(1, 2)
        else:
            seen = {}
            hook = v.ln_post.register_forward_hook(lambda m, i, o: seen.setdefault("y", o))
            before = v.ln_post.register_forward_pre_hook(lambda m, i: seen.setdefault("x", i[0]))
            glob = v(x)
            hook.remove(), before.remove()
            grid = seen["y"][:, 1:]
        pad = torch.zeros(len(tokens), POSITIONS - tokens.shape[1], dtype=tokens.dtype)
        return glob, grid, self.model.encode_text(torch.cat([tokens, pad], 1))

    def named(self):
        return {n[7:] if n.startswith("visual.") else "text." + n: p for n, p in self.model.named_parameters() if n != "logit_scale"}

    def gradients(self):
        return {n: p.grad for n, p in self.named().items()}

    def resized(self, size):
        vision = dict(self.config["vision_cfg"], image_size=size)
        other = OpenClip(vision, self.config["quick_gelu"])
        state = dict(self.model.state_dict())
        resize_pos_embed(state, other.model)
        other.model.load_state_dict(state)
        return other

    def save(self, folder, half):
        os.makedirs(folder, exist_ok=True)
        state = {n: t.to(half).contiguous() for n, t in self.model.state_dict().items() if n != "attn_mask"}
        save_file(state, os.path.join(folder, "open_clip_model.safetensors"))
        with open(os.path.join(folder, "open_clip_config.json"), "w") as f:
            json.dump({"model_cfg": self.config, "preprocess_cfg": {"mean": MEAN, "std": STD}}, f, indent=1)
            f.write("\n")


def ours(name, t):
    """A gradient in our layout."""
    if t.dim() == 4:
        t = t.permute(0, 2, 3, 1)
        return t.reshape(t.shape[0], -1)
    return t


def packed(name, g):
    g = g.detach().flatten().double().numpy()
    i = np.arange(len(g))
    return torch.tensor(np.concatenate([g[:: -(-len(g) // 96)], [np.sum(g * np.sin(0.37 * i + 1)), np.abs(g).max()]]).astype(np.float32))


def run(net, x, tokens, names=("global", "grid", "text")):
    net.model.zero_grad()
    out = dict(zip(names, net.outputs(x, tokens)))
    sum((o.double() * cotangent(o)).sum() for o in out.values()).backward()
    transposed = {"proj", "text.text_projection"} if isinstance(net, OpenClip) else ()
    grads = {n: ours(n, g.t() if n in transposed else g).clone() for n, g in net.gradients().items()}
    return {n: o.detach().double() for n, o in out.items()}, grads


def expected(net, size, images):
    x, tokens = normalised(pixels((images, size, size, 3))), torch.tensor(TOKENS)
    out, grads = run(net, x, tokens)
    t = {"in.tokens": tokens.int()}
    t.update({"out." + n: o.float() for n, o in out.items()})
    t.update({"grad." + n: packed(n, g) for n, g in grads.items()})
    return t


DRAWS = 32


def drawn(name, shape, draw):
    """Values of a parameter in our layout: uniform numbers of mean 0 and variance 1 from a hash (MurmurHash3's last step) of name, place and draw, scaled as randomise() does."""
    h = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(zlib.crc32(name.encode()) ^ draw * 0x632BE5AB & 0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = (h ^ h >> np.uint32(shift)) * np.uint32(factor)
    r = math.sqrt(3) * (h / 2147483648.0 - 1)
    if name.endswith("running_var"):
        r = 0.5 + r * r
    elif len(shape) > 1:
        r = 1.3 * r / math.sqrt(np.prod(shape[1:]))
    elif name.endswith("weight"):
        r = 1 + 0.2 * r
    else:
        r = 0.2 * r
    return torch.from_numpy(r.astype(np.float32).reshape(shape)).double()


def draw_all(net, draw):
    transposed = {"proj", "text.text_projection"} if isinstance(net, OpenClip) else ()
    tensors = dict(net.named())
    if isinstance(net, OpenClip):
        tensors.update({n: b for n, b in net.visual.named_buffers() if "running" in n})
    for n, t in tensors.items():
        s, part = list(t.shape), [k for k in "qkv" if isinstance(net, Transformers) and "attn.%s_proj" % k in n]
        if part: # a third of what is one parameter elsewhere
            i = "qkv".index(part[0])
            x = drawn(n.replace(part[0] + "_proj.", "in_proj_"), [3 * s[0]] + s[1:], draw)[i * s[0]:(i + 1) * s[0]]
        elif t.dim() == 4:
            x = drawn(n, [s[0], s[2], s[3], s[1]], draw).permute(0, 3, 1, 2)
        else:
            x = drawn(n, s[::-1], draw).t() if n in transposed else drawn(n, s, draw)
        t.data = x.contiguous()


def autocast(net, size, images):
    """(DRAWS) errors of each output and gradient"""
    x, tokens = normalised(pixels((images, size, size, 3))), torch.tensor(TOKENS)
    errors = {}
    for draw in range(DRAWS):
        draw_all(net, draw)
        net.model.double()
        out, grads = run(net, x, tokens)
        net.model.float()
        with torch.autocast("cpu", torch.bfloat16):
            low, low_grads = run(net, x.float(), tokens)
        net.model.double()
        for kind, a, b in (("out.", low, out), ("grad.", low_grads, grads)):
            for n in b:
                errors.setdefault(kind + n, []).append(float((a[n].double() - b[n]).abs().max() / b[n].abs().max()))
    return {n: torch.tensor(e, dtype=torch.float32) for n, e in errors.items()}


def at(net, size):
    with torch.no_grad():
        glob, grid, _ = net.outputs(normalised(pixels((1, size, size, 3))), torch.tensor(TOKENS))
    return {"out%d.global" % size: glob.float().contiguous(), "out%d.grid" % size: grid.float().contiguous()}


def write(path, tensors):
    save_file({n: t.contiguous() for n, t in tensors.items()}, path)


# ---- byte pairs and scores

def learn_merges(path):
    """Byte pairs of the captions, the most frequent first, in the layout of bpe_simple_vocab_16e6.txt.gz."""
    plain = SimpleTokenizer()
    words = {}
    for c in CAPTIONS:
        for w in plain.pat.findall(plain.clean_fn(c)):
            w = "".join(plain.byte_encoder[b] for b in w.encode())
            k = tuple(w[:-1]) + (w[-1] + "</w>",)
            words[k] = words.get(k, 0) + 1
    merges = []
    while len(merges) < MERGES:
        count = {}
        for w, n in words.items():
            for p in zip(w, w[1:]):
                count[p] = count.get(p, 0) + n
        best = max(count, key=lambda p: (count[p], p))
        merges.append(" ".join(best))
        joined = {}
        for w, n in words.items():
            out, i = [], 0
            while i < len(w):
                both = w[i:i + 2] == best
                out.append("".join(best) if both else w[i])
                i += 1 + both
            joined[tuple(out)] = joined.get(tuple(out), 0) + n
        words = joined
    with gzip.GzipFile(path, "wb", mtime=0) as f:
        f.write("\n".join(["#version: test"] + merges).encode())


def scores(net, merges):
    """CLIPScore and RefCLIPScore of the captions for two pictures, the first four captions but itself being the references."""
    tok = SimpleTokenizer(merges, context_length=POSITIONS)
    assert len(tok.encoder) == VOCAB
    unit = lambda x: (x / x.norm(dim=-1, keepdim=True)).detach()
    text = tok(["A photo depicts " + c for c in CAPTIONS])
    image, _, words = net.outputs(normalised(pixels((2, 32, 32, 3))), text)
    image, words, out = unit(image), unit(words), []
    for i in range(2):
        for c in range(len(CAPTIONS)):
            clip = 2.5 * max(float(image[i] @ words[c]), 0)
            best = max(max(float(words[c] @ words[r]) for r in range(4) if r != c), 0)
            out.append([clip, 2 * clip * best / (clip + best) if clip > 0 and best > 0 else 0])
    return {"captions": CAPTIONS, "ids": [tok.encode(c) for c in CAPTIONS], "scores": out}


def main():
    here = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    torch.manual_seed(0)

    net, folder = Transformers(), os.path.join(here, "clip_transformers")
    shutil.rmtree(folder, ignore_errors=True)
    randomise(net.model, 1, torch.float16)
    t = expected(net, 32, 2)
    for size in (24, 48):
        t.update(at(net, size))
    merges = os.path.join(here, "clip_merges.txt.gz")
    learn_merges(merges)
    with open(os.path.join(here, "clip.json"), "w") as f:
        json.dump(scores(net, merges), f)
        f.write("\n")
    net.save(folder, torch.float16)
    write(os.path.join(folder, "expected.safetensors"), t)
    write(os.path.join(folder, "bf16.safetensors"), autocast(net, 32, 2))

    net, folder = OpenClip(dict(layers=2, width=16, head_width=8, patch_size=8, image_size=32), False), os.path.join(here, "clip_open_clip")
    shutil.rmtree(folder, ignore_errors=True)
    randomise(net.model, 2, torch.bfloat16)
    t = expected(net, 32, 2)
    for size in (24, 40):
        t.update(at(net.resized(size), size))
    net.save(folder, torch.bfloat16)
    write(os.path.join(folder, "expected.safetensors"), t)
    write(os.path.join(folder, "bf16.safetensors"), autocast(net, 32, 2))

    net, folder = OpenClip(dict(layers=[1, 2, 1, 1], width=2, head_width=32, image_size=64), True), os.path.join(here, "clip_resnet")
    shutil.rmtree(folder, ignore_errors=True)
    randomise(net.model, 14, torch.float16)  # one whose gradients are sums that do not cancel (README)
    t = expected(net, 64, 4)
    net.save(folder, torch.float16)
    net.model.double()
    write(os.path.join(folder, "expected.safetensors"), t)
    net.model.train()
    t = expected(net, 64, 4)
    t.update({"after." + n: b.float() for n, b in net.visual.named_buffers() if "running" in n})
    write(os.path.join(folder, "expected_train.safetensors"), t)
    net.model.eval()
    write(os.path.join(folder, "bf16.safetensors"), autocast(net, 64, 4))


main()
