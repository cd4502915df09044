#!/usr/bin/env python3
"""The linear layers and convolutions of tests/bench/kernels.c in PyTorch, whose fast paths on a CPU are oneDNN's primitives and its BLAS. Started by kernels with the
number of threads; a line in is a row's name ("conv bf16 dx 14x14 256->256 3x3/1", batch 4), a line out the seconds of a call. Weights are ready in the layout that
the primitive likes for forward passes; one thread is timed by processor time, more by wall time."""
import re
import sys
import time

import torch
import torch.nn.functional as F

THREADS, BATCH, LEAST = int(sys.argv[1]), 4, 0.01
CLOCK = time.process_time if THREADS == 1 else time.perf_counter


def linear(kind, what, m, n, k):
    x, w, b, dy = torch.randn(m, k, dtype=kind), torch.randn(n, k, dtype=kind), torch.randn(n, dtype=kind), torch.randn(m, n, dtype=kind)
    if what == "forward":
        if kind == torch.bfloat16:
            packed = w.to_mkldnn()
            return lambda: torch.ops.mkldnn._linear_pointwise(x, packed, b, "none", [], "") if hasattr(torch.ops.mkldnn, "_linear_pointwise") else F.linear(x, w, b)
        return lambda: F.linear(x, w, b)
    return (lambda: dy @ w) if what == "dx" else (lambda: (dy.t() @ x, dy.sum(0)))


def convolution(kind, what, size, c, n, k, stride):
    x, w = torch.randn(BATCH, c, size, size, dtype=kind), torch.randn(n, c, k, k, dtype=kind)
    x, w = x.to(memory_format=torch.channels_last), w.to(memory_format=torch.channels_last)
    y = F.conv2d(x, w, None, stride, k // 2)
    if what == "forward":
        b = torch.randn(n, dtype=kind)
        return lambda: F.conv2d(x, w, b, stride, k // 2)
    want = [what == "dx", what == "dw", what == "dw"]
    return lambda: torch.ops.aten.convolution_backward(y, x, w, [n], [stride] * 2, [k // 2] * 2, [1, 1], False, [0, 0], 1, want)


def job(name):
    kind = torch.bfloat16 if " bf16 " in name else torch.float32
    m = re.match(r"linear \w+ (\w+) (\d+)x(\d+)x(\d+)", name)
    if m:
        return linear(kind, m[1], *map(int, m.groups()[1:]))
    m = re.match(r"conv \w+ (\w+) (\d+)x\d+ (\d+)->(\d+) (\d+)x\d+/(\d+)", name)
    return convolution(kind, m[1], *map(int, m.groups()[1:]))


def main():
    torch.set_num_threads(THREADS)
    last, run = None, None
    for line in sys.stdin:
        name = line.strip()
        if name == "about":
            print("torch %s, %d thread(s), %s" % (torch.__version__, THREADS, torch.backends.cpu.get_cpu_capability() if hasattr(torch.backends, "cpu") else "?"), flush=True)
            continue
        with torch.inference_mode():
            if name != last:
                last, run = name, job(name)
                run()
            t0, n = CLOCK(), 0
            while n == 0 or CLOCK() - t0 < LEAST:
                run()
                n += 1
        print((CLOCK() - t0) / n, flush=True)


main()
