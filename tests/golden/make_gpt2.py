#!/usr/bin/env python3
"""Golden states of GPT-2 with an image prefix: tiny random weights under transformers' names, logits, losses and gradients computed in float64.

Made with torch 1.13.0 and transformers 4.30.2; nothing else is imported but numpy. Writes gpt2.safetensors beside itself (or in argv[1]).

Two images of K feature rows; three captions of T words, the last two of the second image. The input is inputs_embeds = [K prefix tokens][T word
embeddings], the prefix an identity map of the features; the loss is the mean over all words of the last T positions.
  feature i             = sin(0.9 i + 0.2) / 4
  tokens, targets       in the file ("in.*"); targets of -1 carry no loss
  out.logits            (3,T,V), F64
  out.loss.S            loss of each word with label smoothing S / 100, F64
  grad.NAME             gradient of the mean loss without smoothing, in the public layout, F32; "grad.prefix.weight" that of the identity map
  smooth                with label smoothing 0.1, a row for each parameter by rising name: sum of g_i * sin(0.37 i + 1) over its elements, largest |g_i|; F64
  alt.*                 first caption's logits of a model that differs in one constant: what must not be taken for GPT-2
  xent.*                cross-entropy with bias, smoothing 0.1, uneven weights and logits of both signs up to some 120, with its gradients
"""
import json
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

D, HEADS, LAYERS, V, K, T, POSITIONS = 16, 2, 2, 33, 3, 5, 12
IMAGE = [0, 1, 1]
TOKENS = [[1, 4, 5, 6, 7], [1, 32, 9, 9, 12], [1, 20, 31, 2, 0]]
TARGETS = [[4, 5, 6, 7, 2], [32, 9, 9, 12, 30], [20, 31, 2, -1, -1]]


def build(state=None, **change):
    config = dict(vocab_size=V, n_positions=POSITIONS, n_embd=D, n_layer=LAYERS, n_head=HEADS, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    config.update(change)
    model = GPT2LMHeadModel(GPT2Config(**config)).double().eval()
    if state:
        model.load_state_dict(state, strict=False)
    return model


def randomise(model):
    """Each value a half-precision number; small embeddings, so that the norm's epsilon shows."""
    gen = torch.Generator().manual_seed(5)
    for name, p in model.transformer.named_parameters():
        r = torch.randn(p.shape, generator=gen)
        if name in ("wte.weight", "wpe.weight"):
            v = 0.05 * r
        elif p.dim() > 1:
            v = 1.3 * r / p.shape[0] ** 0.5
        else:
            v = (1 if name.endswith("weight") else 0) + 0.2 * r
        p.data = v.half().double()


def logits(model, prefix):
    i = torch.arange(2 * K * D, dtype=torch.float64)
    feature = (torch.sin(0.9 * i + 0.2) / 4).reshape(2, K, D)
    words = model.transformer.wte(torch.tensor(TOKENS))
    x = torch.cat([(feature @ prefix.t())[IMAGE], words], 1)
    return model(inputs_embeds=x).logits[:, K:]


def losses(z, smoothing):
    return F.cross_entropy(z.reshape(-1, V), torch.tensor(TARGETS).flatten(), ignore_index=-1, reduction="none", label_smoothing=smoothing)


def gradients(model, smoothing):
    prefix = torch.nn.Parameter(torch.eye(D, dtype=torch.float64))
    model.zero_grad()
    (losses(logits(model, prefix), smoothing).sum() / sum(t >= 0 for row in TARGETS for t in row)).backward()
    out = {n: p.grad.numpy().copy() for n, p in model.transformer.named_parameters()}
    out["prefix.weight"] = prefix.grad.numpy()
    return out


def xent():
    gen = torch.Generator().manual_seed(9)
    h, w, b = (torch.randn(s, generator=gen).mul(k).half().double().requires_grad_() for s, k in (((5, 6), 4), ((11, 6), 4), ((11,), 1)))
    target, weight = torch.tensor([3, 0, 10, 7, 7]), torch.tensor([1, 0.25, -0.5, 2, 0.125], dtype=torch.float64)
    loss = F.cross_entropy(h @ w.t() + b, target, reduction="none", label_smoothing=0.1) * weight
    loss.sum().backward()
    named = {"h": h, "w": w, "b": b, "loss": loss, "dh": h.grad, "dw": w.grad, "db": b.grad, "target": target.int(), "weight": weight}
    return {"xent." + n: t.detach().numpy() for n, t in named.items()}


def write(path, tensors):
    names = {"float16": "F16", "float32": "F32", "float64": "F64", "int32": "I32"}
    head, at = {}, 0
    order = sorted(tensors, key=lambda n: (-tensors[n].itemsize, n))
    for n in order:
        t = tensors[n]
        head[n] = {"dtype": names[str(t.dtype)], "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for n in order:
            f.write(np.ascontiguousarray(tensors[n]).tobytes())
    print(path, os.path.getsize(path))


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    torch.manual_seed(0)
    model = build()
    randomise(model)
    eye = torch.eye(D, dtype=torch.float64)
    state = {n: p.data for n, p in model.named_parameters()}
    out = {n: p.detach().numpy().astype(np.float16) for n, p in model.transformer.named_parameters()}
    out["in.tokens"], out["in.targets"] = np.array(TOKENS, np.int32), np.array(TARGETS, np.int32)
    with torch.no_grad():
        z = logits(model, eye)
        out["out.logits"] = z.numpy()
        for s in (0, 10, 30):
            out["out.loss.%d" % s] = losses(z, s / 100).numpy()
        for name, change in {"gelu_erf": {"activation_function": "gelu"}, "eps_1e-6": {"layer_norm_epsilon": 1e-6}, "attention_unscaled": {"scale_attn_weights": False},
                             "heads_4": {"n_head": 4}}.items():
            out["alt." + name] = logits(build(state, **change), eye)[0].numpy().astype(np.float32)
    out.update({"grad." + n: g.astype(np.float32) for n, g in gradients(model, 0).items()})
    out["smooth"] = np.array([[np.sum(g.flatten() * np.sin(0.37 * np.arange(g.size) + 1)), np.abs(g).max()] for _, g in sorted(gradients(model, 0.1).items())])
    out.update(xent())
    write(os.path.join(folder, "gpt2.safetensors"), out)


main()
