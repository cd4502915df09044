#!/usr/bin/env python3
"""Golden states of the CLIP image encoders: tiny random weights under their public names, outputs and gradients in float64.

The networks are written here in plain PyTorch after Radford et al. 2021 (section 2.4) and what that paper builds on; nothing but torch and numpy is
imported. Made with torch 1.13.0; needs 1.11 or later. Writes clip_vit.safetensors, clip_resnet.safetensors and clip_resnet_train.safetensors beside itself (or in argv[1]).

Pixels and the weights of the objective follow formulas that the test repeats:
  pixel i of the batch  = ((i * 2654435761 mod 2^32) >> 13) & 255
  cotangent i of output = sin(0.7 i + 0.3)         (global vectors first, then, numbered afresh, the grid)
Gradients are of sum(cotangent * output). A gradient is stored as "grad.<parameter>": in our layout, every stride-th element so that at most 96 remain,
then the sum of g_i * sin(0.37 i + 1) over all elements i, then the largest |g_i|.
"""
import json
import math
import os
import struct
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


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


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(d, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(d)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(d, 4 * d), "c_proj": nn.Linear(4 * d, d)})
        self.ln_2 = nn.LayerNorm(d)

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        y = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](y * torch.sigmoid(1.702 * y))


class Transformer(nn.Module):
    def __init__(self, d, layers, heads):
        super().__init__()
        self.resblocks = nn.ModuleList([Block(d, heads) for _ in range(layers)])


class ViT(nn.Module):
    def __init__(self, size, patch, d, layers, heads, out):
        super().__init__()
        g = size // patch
        self.conv1 = nn.Conv2d(3, d, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(d))
        self.positional_embedding = nn.Parameter(torch.randn(g * g + 1, d))
        self.ln_pre = nn.LayerNorm(d)
        self.transformer = Transformer(d, layers, heads)
        self.ln_post = nn.LayerNorm(d)
        self.proj = nn.Parameter(torch.randn(d, out))

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, -1), x], 1)
        x = self.ln_pre(x + self.positional_embedding)
        for b in self.transformer.resblocks:
            x = b(x)
        x = self.ln_post(x)
        return x[:, 0] @ self.proj, x[:, 1:]


class Bottleneck(nn.Module):
    def __init__(self, cin, planes, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, 4 * planes, 1, bias=False), nn.BatchNorm2d(4 * planes)
        self.stride = stride
        self.downsample = None
        if stride > 1 or cin != 4 * planes:
            self.downsample = nn.Sequential(nn.Conv2d(cin, 4 * planes, 1, bias=False), nn.BatchNorm2d(4 * planes))

    def pool(self, x):
        return F.avg_pool2d(x, self.stride) if self.stride > 1 else x

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.pool(F.relu(self.bn2(self.conv2(y))))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (self.downsample(self.pool(x)) if self.downsample is not None else x))


class AttentionPool(nn.Module):
    def __init__(self, cells, c, heads, out):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(cells + 1, c))
        self.k_proj, self.q_proj, self.v_proj = nn.Linear(c, c), nn.Linear(c, c), nn.Linear(c, c)
        self.c_proj = nn.Linear(c, out)

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.positional_embedding
        b, t, c = x.shape
        q, k, v = (p(y).reshape(b, -1, self.heads, c // self.heads).transpose(1, 2)
                   for p, y in ((self.q_proj, x[:, :1]), (self.k_proj, x), (self.v_proj, x)))
        a = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(c // self.heads), -1)
        return self.c_proj((a @ v).transpose(1, 2).reshape(b, c))


class ResNet(nn.Module):
    def __init__(self, size, w, layers, heads, out):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, w // 2, 3, 2, 1, bias=False), nn.BatchNorm2d(w // 2)
        self.conv2, self.bn2 = nn.Conv2d(w // 2, w // 2, 3, 1, 1, bias=False), nn.BatchNorm2d(w // 2)
        self.conv3, self.bn3 = nn.Conv2d(w // 2, w, 3, 1, 1, bias=False), nn.BatchNorm2d(w)
        cin = w
        for i, n in enumerate(layers):
            planes, blocks = w << i, []
            for j in range(n):
                blocks.append(Bottleneck(cin, planes, 2 if i and not j else 1))
                cin = 4 * planes
            setattr(self, "layer%d" % (i + 1), nn.Sequential(*blocks))
        self.attnpool = AttentionPool((size // 32) ** 2, 32 * w, heads, out)

    def forward(self, x):
        for i in (1, 2, 3):
            x = F.relu(getattr(self, "bn%d" % i)(getattr(self, "conv%d" % i)(x)))
        x = F.avg_pool2d(x, 2)
        for i in (1, 2, 3, 4):
            x = getattr(self, "layer%d" % i)(x)
        return self.attnpool(x), x.flatten(2).transpose(1, 2)


def randomise(model, seed):
    """Small random values, each exactly a half-precision number, so that the file is small and the weights are the same everywhere."""
    gen = torch.Generator().manual_seed(seed)
    tensors = [(n, p) for n, p in model.named_parameters()] + [(n, b) for n, b in model.named_buffers() if "running" in n]
    for name, t in tensors:
        r = torch.randn(t.shape, generator=gen)
        if name.endswith("running_var"):
            v = 0.5 + r * r
        elif t.dim() > 1:
            v = 1.3 * r / math.sqrt(t[0].numel())
        elif name.endswith("weight"):
            v = 1 + 0.2 * r
        else:
            v = 0.2 * r
        t.data = v.half().double()


def ours(name, t):
    """A tensor of the public file, or its gradient, in our layout."""
    if t.dim() == 4:
        return t.permute(0, 2, 3, 1).contiguous()
    return t.t().contiguous() if name == "proj" else t


def gradients(model):
    out = {}
    for name, p in model.named_parameters():
        g = ours(name, p.grad).detach().flatten().double().numpy()
        stride = -(-len(g) // 96)
        i = np.arange(len(g))
        out["grad." + name] = np.concatenate([g[::stride], [np.sum(g * np.sin(0.37 * i + 1)), np.abs(g).max()]]).astype(np.float32)
    return out


def run(model, u8):
    model.zero_grad()
    glob, grid = model(normalised(u8))
    ((glob * cotangent(glob)).sum() + (grid * cotangent(grid)).sum()).backward()
    return {"out.global": glob.detach().numpy().astype(np.float32), "out.grid": grid.detach().numpy().astype(np.float32), **gradients(model)}


def resized(table, g):
    """The positional table for g x g cells."""
    g0 = math.isqrt(len(table) - 1)
    cells = table[1:].reshape(1, g0, g0, -1).permute(0, 3, 1, 2)
    cells = F.interpolate(cells, size=(g, g), mode="bicubic", align_corners=False)
    return torch.cat([table[:1], cells.permute(0, 2, 3, 1).reshape(g * g, -1)])


def public(model):
    out = {"visual." + n: p.detach().numpy().astype(np.float16) for n, p in model.named_parameters()}
    out.update({"visual." + n: b.numpy().astype(np.float16) for n, b in model.named_buffers() if "running" in n})
    return out


def write(path, tensors, config):
    names = {"float16": "F16", "float32": "F32"}
    head, at = {"__metadata__": {"config": json.dumps(config, sort_keys=True)}}, 0
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
    torch.set_default_dtype(torch.float64)

    vit = ViT(size=32, patch=8, d=24, layers=2, heads=3, out=10)
    randomise(vit, 1)
    tensors = public(vit)
    tensors.update(run(vit, pixels((2, 32, 32, 3))))
    for size in (48, 24):
        table = vit.positional_embedding
        vit.positional_embedding = nn.Parameter(resized(table.detach(), size // 8))
        glob, grid = vit(normalised(pixels((1, size, size, 3))))
        vit.positional_embedding = table
        tensors["out%d.global" % size] = glob.detach().numpy().astype(np.float32)
        tensors["out%d.grid" % size] = grid.detach().numpy().astype(np.float32)
    write(os.path.join(folder, "clip_vit.safetensors"), tensors, {"heads": 3})

    net = ResNet(size=64, w=2, layers=(1, 2, 1, 1), heads=2, out=12)
    randomise(net, 6)  # one whose rectifiers stay clear of zero: single precision then takes the same branches
    u8 = pixels((4, 64, 64, 3))
    weights = public(net)
    net.eval()
    write(os.path.join(folder, "clip_resnet.safetensors"), {**weights, **run(net, u8)}, {"heads": 2})
    net.train()
    tensors = run(net, u8)
    tensors.update({"after." + n: b.numpy().astype(np.float32) for n, b in net.named_buffers() if "running" in n})
    write(os.path.join(folder, "clip_resnet_train.safetensors"), tensors, {})


main()
