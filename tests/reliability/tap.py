# What the reliability tests share: TAP, running programs with their use of time and memory, a small world of toy inputs.
#   T             a fresh folder, the current one, removed at the end; TOP the tree; BIN the programs; DEBUG built with sanitizers
#   soak          CAPT_SOAK is set: the long numbers
#   number(N, M)  N in `make check`, M in `make soak`; the environment's variable of that name wins
#   run(args)     -> Result: status (-N: signal N), out, err, cpu seconds, rss KiB (never below what this process itself held)
#   world()       toy/, r.ndjson, v.json, s.mdb, a.ckpt: what every program can work on
# Each script prints TAP and ends by `end()`: "# N passed, M failed" and the exit status.
import atexit
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get('CAPT_BIN') or TOP + '/build/release/bin')
DEBUG = '/debug/' in BIN + '/'
SHIM = os.path.dirname(BIN) + '/shim.so' # shim.c
soak = bool(os.environ.get('CAPT_SOAK'))
T = tempfile.mkdtemp(prefix='capt-test.')
atexit.register(shutil.rmtree, T, True)
for s in signal.SIGTERM, signal.SIGHUP:
    signal.signal(s, lambda *a: sys.exit(1))
os.chdir(T)
os.environ.update(PATH=BIN + ':' + os.environ['PATH'], LC_ALL='C.UTF-8', CAPT_METEOR_DATA='', CAPT_CACHE=T + '/.cache')
Result = namedtuple('Result', 'status out err cpu rss')
count = [0, 0]
sys.stdout.reconfigure(line_buffering=True)


def number(name, check, long):
    return int(os.environ.get(name) or (long if soak else check))


def ok(good, name, *diag):
    count[0 if good else 1] += 1
    print('%s %d - %s' % ('ok' if good else 'not ok', sum(count), name.replace('#', '')))
    if not good:
        for d in diag:
            print('\n'.join('# ' + x[:300] for x in str(d).splitlines()[:20]))
    return bool(good)


def skip_all(why):
    print('1..0 # SKIP ' + why)
    sys.exit(0)


def end():
    print('1..%d' % sum(count))
    print('# %d passed, %d failed' % tuple(count))
    sys.stdout.flush()
    sys.exit(1 if count[1] else 0)


def run(args, env=None, limit=None, stdin=None, timeout=60, keep=1 << 16):
    """limit: called in the child before it begins."""
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    p = subprocess.Popen(args, stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err, env=dict(os.environ, **env) if env else None, preexec_fn=limit)
    t0, pid = time.time(), 0
    while not pid:
        pid, status, use = os.wait4(p.pid, os.WNOHANG)
        if not pid and time.time() - t0 > timeout:
            p.kill()
            t0 = float('inf')
        if not pid:
            time.sleep(0.001)
    p.returncode = 0
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    texts = []
    for f in out, err:
        f.seek(0)
        texts.append(f.read(keep).decode('utf-8', 'backslashreplace'))
        f.close()
    return Result(code, texts[0], texts[1], use.ru_utime + use.ru_stime, use.ru_maxrss)


def must(*args):
    r = run(list(args))
    if r.status:
        print('Bail out! %s: %d: %s' % (' '.join(args), r.status, r.err))
        sys.exit(1)
    return r


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def core_limit():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


core_limit()
VIT = TOP + '/tests/golden/clip_transformers'
tiny = '--model gpt2 --set width=32 --set layers=2 --set heads=2 --set tokens=0'.split()


def world(images=40, size=32):
    must('coco-toy', '--out', 'toy', '--images', str(images), '--size', str(size))
    r = run(['coco-split', '--quiet', '--scheme', 'karpathy', 'toy/dataset.json'], keep=1 << 24)
    write('r.ndjson', r.out)
    must('vocab-build', '--quiet', '--type', 'word', '--min-count', '1', '--out', 'v.json', 'r.ndjson')
    must('clip-featurize', '--quiet', '--weights', VIT, '--images', 'toy/images', '--features', 'both', '--store', 's.mdb', 'r.ndjson')
    must('capt-train', *tiny, '--captions', 'r.ndjson', '--vocab', 'v.json', '--store', 's.mdb', '--section', 'grid', '--epochs', '1', '--quiet', '--out', 'a.ckpt')
