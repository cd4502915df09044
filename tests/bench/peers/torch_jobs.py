#!/usr/bin/env python3
"""The jobs of tests/bench/jobs.c in plain PyTorch: same sizes, same amount of work, PyTorch's own fast paths. Started by jobs, which sends a line a run
("warm", "run": seconds come back; "memory": peak MB; "about": version and set-up). One thread is timed by processor time, more by wall time.

bf16 training is autocast over f32 master weights; bf16 inference has bf16 weights. Where this torch has scaled_dot_product_attention, it is used. Training and
encoding are tried with torch.compile too, and the faster of both is what runs (decoding is not: its shapes change with every step)."""
import json
import math
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

A = json.loads(sys.argv[1])
BF16 = A["dtype"] == "bf16"
T, BEAM, SAMPLES = A["T"], 5, 5
FUSED = hasattr(F, "scaled_dot_product_attention")


def attend(q, k, v, causal, drop):
    """(R,H,T,d)"""
    if FUSED:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, dropout_p=drop)
    s = q @ k.transpose(2, 3) * (1 / math.sqrt(q.shape[3]))
    if causal:
        s = s + torch.full(s.shape[2:], float("-inf"), dtype=s.dtype).triu(1)
    p = F.softmax(s, -1)
    return (F.dropout(p, drop) if drop else p) @ v


def heads(x, n):
    return x.view(x.shape[0], x.shape[1], n, -1).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, d, n, act):
        super().__init__()
        self.n, self.act = n, act
        self.ln1, self.qkv, self.proj = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.ln2, self.fc, self.out = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x, causal=False, drop=0.0, cache=None, at=0):
        q, k, v = (heads(y, self.n) for y in self.qkv(self.ln1(x)).split(x.shape[2], 2))
        if cache is not None:
            ck, cv = cache
            ck[:, :, at:at + x.shape[1]], cv[:, :, at:at + x.shape[1]] = k, v
            k, v = ck[:, :, :at + x.shape[1]], cv[:, :, :at + x.shape[1]]
        y = attend(q, k, v, causal, drop).transpose(1, 2).reshape(x.shape)
        x = x + F.dropout(self.proj(y), drop, drop > 0)
        return x + F.dropout(self.out(self.act(self.fc(self.ln2(x)))), drop, drop > 0)


class Captioner(nn.Module):
    def __init__(self):
        super().__init__()
        d, self.K = A["width"], A["K"]
        self.wte, self.wpe = nn.Embedding(A["V"], d), nn.Parameter(torch.randn(self.K + T, d) * 0.01)
        nn.init.normal_(self.wte.weight, std=0.02)
        self.prefix = nn.Linear(A["dim"], self.K * d)
        self.h = nn.ModuleList([Block(d, A["heads"], lambda x: F.gelu(x, approximate="tanh")) for _ in range(A["layers"])])
        self.ln_f = nn.LayerNorm(d)

    def image(self, feature):
        return self.prefix(feature).view(len(feature), self.K, -1)

    def forward(self, image, tokens, drop):
        x = F.dropout(torch.cat([image, self.wte(tokens)], 1) + self.wpe, drop, drop > 0)
        for b in self.h:
            x = b(x, True, drop)
        return self.ln_f(x[:, self.K:])

    def start(self, feature, n):
        """Caches of the images' tokens, each image n times."""
        x = self.image(feature) + self.wpe[:self.K]
        d, size = A["width"], (len(feature), A["heads"], self.K + T, A["width"] // A["heads"])
        caches = [(x.new_zeros(size), x.new_zeros(size)) for _ in self.h]
        for b, c in zip(self.h, caches):
            x = b(x, True, cache=c)
        return self.pick(caches, torch.arange(len(feature)).repeat_interleave(n)) if n > 1 else caches

    @staticmethod
    def pick(caches, rows):
        return [(k[rows], v[rows]) for k, v in caches]

    def step(self, caches, tokens, t):
        x = self.wte(tokens)[:, None] + self.wpe[self.K + t]
        for b, c in zip(self.h, caches):
            x = b(x, cache=c, at=self.K + t)
        return self.ln_f(x[:, 0]) @ self.wte.weight.t()


class Train:
    def __init__(self):
        n = A["images"]
        self.m, self.encoder = Captioner(), Vit().to(memory_format=torch.channels_last) if A["encoder"] else None
        self.u8 = torch.randint(0, 256, (n, 224, 224, 3), dtype=torch.uint8)
        self.weights = list(self.m.parameters()) + (list(self.encoder.parameters()) if self.encoder else [])
        self.opt = torch.optim.AdamW(self.weights, lr=1e-5, weight_decay=0.01, foreach=True)
        self.feature, self.tokens = torch.randn(n, A["dim"]), torch.randint(4, A["V"], (n, T))
        length = torch.tensor([8 + q * 7 % 11 if A["uneven"] else T for q in range(n)])
        self.keep = torch.arange(T) < length[:, None]
        self.target = torch.randint(4, A["V"], (n, T))[self.keep]

    def objective(self, image_rows, tokens, keep, loss_of):
        image = self.m.image(self.encoder(pixels(self.u8)) if self.encoder else self.feature)
        h = self.m(image if image_rows is None else image[image_rows], tokens, A["drop"])
        return loss_of(h[keep] @ self.m.wte.weight.t())

    def update(self, *what):
        self.opt.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            loss = self.objective(*what)
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.opt.step()

    def run(self):
        self.update(None, self.tokens, self.keep, lambda z: F.cross_entropy(z, self.target, label_smoothing=A["smooth"]))


class Scst(Train):
    def run(self):
        n = A["images"]
        rows = torch.arange(n).repeat_interleave(SAMPLES)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            caches, word, words = self.m.start(self.feature, SAMPLES), torch.ones(n * SAMPLES, dtype=torch.long), []
            for t in range(T):
                word = torch.multinomial(F.softmax(self.m.step(caches, word, t).float(), -1), 1)[:, 0]
                words.append(word)
        words = torch.stack(words, 1).clone()
        tokens = torch.cat([torch.ones(len(words), 1, dtype=torch.long), words[:, :-1]], 1)
        reward = torch.tensor([float(len(" ".join("w%d" % w for w in r)) % 7) for r in words.tolist()]).view(n, SAMPLES)
        a = ((reward - (reward.sum(1, keepdim=True) - reward) / (SAMPLES - 1)).flatten()[:, None] / words.numel()).expand(-1, T).flatten()
        keep = torch.ones(len(words), T, dtype=torch.bool)
        self.update(rows, tokens, keep, lambda z: (F.cross_entropy(z, words.flatten(), reduction="none") * a).sum())


class Beam:
    def __init__(self):
        self.m = Captioner().eval()
        self.feature = torch.randn(A["images"], A["dim"])
        if BF16:
            self.m, self.feature = self.m.bfloat16(), self.feature.bfloat16()

    @torch.inference_mode()
    def run(self):
        n, V = A["images"], A["V"]
        caches, word, score, first = self.m.start(self.feature, 1), torch.ones(n, dtype=torch.long), torch.zeros(n, 1), torch.arange(n)[:, None]
        said = torch.zeros(n, 0, dtype=torch.long)
        for t in range(T):
            width = score.shape[1]
            z = self.m.step(caches, word, t).float()
            best, at = z.topk(BEAM, -1)
            total = (best - z.logsumexp(-1, keepdim=True) + score.view(-1, 1)).view(n, -1)
            score, pick = total.topk(BEAM, -1)
            rows = (first * width + pick // BEAM).flatten()
            word = at.view(n, -1).gather(1, pick).flatten()
            said = torch.cat([said[rows], word[:, None]], 1)
            caches = self.m.pick(caches, rows)


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.cls, self.pos = nn.Conv2d(3, 768, 32, 32, bias=False), nn.Parameter(torch.randn(768) * 0.03), nn.Parameter(torch.randn(50, 768) * 0.03)
        self.ln_pre, self.ln_post, self.proj = nn.LayerNorm(768), nn.LayerNorm(768), nn.Linear(768, 512, bias=False)
        self.h = nn.ModuleList([Block(768, 12, lambda x: x * torch.sigmoid(1.702 * x)) for _ in range(12)])

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = self.ln_pre(torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.pos)
        for b in self.h:
            x = b(x)
        return self.proj(self.ln_post(x)[:, 0])


def conv(cin, cout, k, stride=1):
    """Convolution and batch norm, folded as for inference."""
    return nn.Conv2d(cin, cout, k, stride, k // 2)


class Bottleneck(nn.Module):
    def __init__(self, cin, p, stride):
        super().__init__()
        self.c1, self.c2, self.c3, self.stride = conv(cin, p, 1), conv(p, p, 3), conv(p, 4 * p, 1), stride
        self.down = conv(cin, 4 * p, 1) if stride > 1 or cin != 4 * p else None

    def pool(self, x):
        return F.avg_pool2d(x, self.stride) if self.stride > 1 else x

    def forward(self, x):
        y = self.c3(self.pool(F.relu_(self.c2(F.relu_(self.c1(x))))))
        return F.relu_(y + (self.down(self.pool(x)) if self.down else x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.ModuleList([conv(3, 32, 3, 2), conv(32, 32, 3), conv(32, 64, 3)])
        blocks, cin = [], 64
        for i, n in enumerate((3, 4, 6, 3)):
            for j in range(n):
                blocks.append(Bottleneck(cin, 64 << i, 2 if i and not j else 1))
                cin = 256 << i
        self.blocks = nn.Sequential(*blocks)
        self.pos, self.q, self.k, self.v, self.c = nn.Parameter(torch.randn(50, 2048) * 0.02), *(nn.Linear(2048, 2048) for _ in range(3)), nn.Linear(2048, 1024)

    def forward(self, x):
        for c in self.stem:
            x = F.relu_(c(x))
        x = self.blocks(F.avg_pool2d(x, 2)).flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.pos
        y = attend(heads(self.q(x[:, :1]), 32), heads(self.k(x), 32), heads(self.v(x), 32), False, 0)
        return self.c(y.transpose(1, 2).reshape(len(x), -1))


def pixels(u8):
    return ((u8.float() / 255 - 0.45) / 0.27).permute(0, 3, 1, 2)


class Encode:
    def __init__(self):
        self.m = (Vit() if A["encoder"] == "clip-vit" else ResNet()).eval().to(memory_format=torch.channels_last)
        self.u8 = torch.randint(0, 256, (A["images"], 224, 224, 3), dtype=torch.uint8)
        self.m = self.m.bfloat16() if BF16 else self.m

    @torch.inference_mode()
    def run(self):
        x = pixels(self.u8)
        self.m(x.bfloat16() if BF16 else x)


def compiled(job):
    """The same job under torch.compile, or None: this torch, or the machine's compiler, cannot."""
    try:
        if A["kind"] == "train":
            job.objective = torch.compile(job.objective)
        else:
            job.m = torch.compile(job.m)
        job.run()
        job.run()
        return job
    except Exception:  # whatever its stack of compilers raises
        return None


def main():
    torch.set_num_threads(A["threads"])
    kinds = {"train": Train, "scst": Scst, "beam": Beam, "encode": Encode}
    clock = time.process_time if A["threads"] == 1 else time.perf_counter

    def make():
        torch.manual_seed(1)
        return kinds[A["kind"]]()

    def seconds(j):
        t0 = clock()
        j.run()
        return clock() - t0

    job, way = make(), "eager"
    for line in sys.stdin:
        what = line.strip()
        if what == "memory":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
        elif what == "about":
            print("torch %s %s %s" % (torch.__version__, A["dtype"] if not BF16 or A["kind"] in ("beam", "encode") else "bf16 autocast", way), flush=True)
        elif what == "warm":
            seconds(job)
            other = compiled(make()) if A["kind"] in ("train", "encode") and hasattr(torch, "compile") else None
            if other and min(seconds(other) for _ in range(2)) < min(seconds(job) for _ in range(2)):
                job, way = other, "compiled"
            print(0, flush=True)
        else:
            print(seconds(job), flush=True)


main()
