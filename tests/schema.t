#!/usr/bin/python3
"""Records: lines that programs print are what their schemas say, and the schemas that the programs print accept the lines of tests/golden/records.tsv that are called good there, and no other; unit/schema_test
has the same of the readers in C. The validator is Debian's python3-jsonschema. What is the text's own, before any schema, is read here by the rules of
capt-records(5): a line of at most 1 MiB of UTF-8, JSON, no key twice, no U+0000, no half of a surrogate pair, nested 32 deep, integers of 64 bits, numbers in
the range of doubles."""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
b = os.environ.get("CAPT_BIN", os.path.join(top, "build/release/bin"))
tests = failed = 0


def result(good, name, *more):
    global tests, failed
    tests += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {tests} - {name}")
    for line in more if not good else ():
        print("#", line)


try:
    import jsonschema
except ImportError:
    if os.environ.get("CI"):
        print("Bail out! python3-jsonschema is missing")
        sys.exit(1)
    print("1..0 # SKIP needs python3-jsonschema")
    sys.exit(0)


class Bad(Exception):
    pass


def refuse(text):
    raise Bad(text)


def members(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        refuse("a key twice")
    return dict(pairs)


def integer(text):
    return int(text) if -2**63 <= int(text) < 2**63 else refuse(text)


def real(text):
    return float(text) if math.isfinite(float(text)) else refuse(text)


def check(v, depth=1):
    if isinstance(v, str) and re.search("[\0\ud800-\udfff]", v):
        refuse("U+0000 or half of a pair")
    if isinstance(v, (dict, list)) and depth > 32:
        refuse("depth")
    for x in v.values() if isinstance(v, dict) else v if isinstance(v, list) else ():
        check(x, depth + 1)
    for k in v if isinstance(v, dict) else ():
        check(k)


def parse(line):
    """The line's value; Bad if it breaks a rule of the text."""
    if len(line) > 1 << 20:
        refuse("length")
    try:
        v = json.loads(line.decode(), object_pairs_hook=members, parse_int=integer, parse_float=real, parse_constant=refuse)
    except ValueError as e:
        raise Bad(str(e)) from None
    check(v)
    return v


def expand(text):
    text = re.sub(rb"<<(\d+)\*(.+?)>>", lambda m: m[2] * int(m[1]), text)
    return re.sub(rb"<([0-9a-f]{2})>", lambda m: bytes([int(m[1], 16)]), text)


programs = sorted(f[:-2] for f in os.listdir(os.path.join(top, "bin")) if f.endswith(".c"))
kinds = "caption hypothesis tag score log total difference error feature tensor metadata".split()
valid = {}
for kind in kinds:
    printed = [subprocess.run([os.path.join(b, p), "--print-schema", kind], capture_output=True).stdout for p in programs]
    result(len(set(printed)) == 1 and printed[0], f"every program prints the schema of {kind}")
    schema = json.loads(printed[0])
    validator = jsonschema.validators.validator_for(schema, default=None)
    result(validator is not None, f"schema of {kind}: names its draft")
    try:
        validator.check_schema(schema)
        result(True, f"schema of {kind}: is one")
    except jsonschema.SchemaError as e:
        result(False, f"schema of {kind}: is one", e.message)
    text = json.dumps(schema)
    result(text.count('"type": "string"') == text.count('"maxLength"') and text.count('"type": "array"') == text.count('"maxItems"'), f"schema of {kind}: limits every string and list")
    valid[kind] = validator(schema).is_valid

n = {k: 0 for k in kinds}
with open(os.path.join(top, "tests/golden/records.tsv"), "rb") as f:
    for number, row in enumerate(f.read().split(b"\n"), 1):
        if row.startswith(b"#") or not row:
            continue
        want, kind, line = row.split(b"\t", 2)
        kind = kind.decode()
        n[kind] += 1
        why = ""
        try:
            good = valid[kind](parse(expand(line)))
        except Bad as e:
            good, why = False, str(e)
        if good != (want == b"good"):
            result(False, f"records.tsv:{number}: {kind}: {ascii(line)[:100]}", f"the table says {want.decode()}, the schema {'accepts' if good else 'refuses'} it {why}")
result(sum(n.values()) >= 200 and min(n.values()) >= 20, f"lines by kind: {n}")
# what programs print is what the schemas say
os.environ["PATH"] = b + ":" + os.environ["PATH"]
os.environ["CAPT_METEOR_DATA"] = ""
vit = os.path.join(top, "tests/golden/clip_transformers")


def printed_by(name, kind, command, least):
    r = subprocess.run(["sh", "-ec", command], capture_output=True, cwd=folder)
    wrong = [line for line in r.stdout.splitlines() if not valid[kind](parse(line))]
    n = len(r.stdout.splitlines())
    result(r.returncode == 0 and not wrong and n >= least, f"{name}: lines of the kind {kind}", f"status {r.returncode}, {n} lines", *[ascii(x)[:200] for x in wrong[:3]],
           *r.stderr.decode(errors="replace").splitlines()[:5])


with tempfile.TemporaryDirectory(prefix="capt-test.") as folder:
    subprocess.run(["sh", "-ec", f"""coco-toy -q --out toy --images 12 --size 32
        coco-split -q --scheme karpathy toy/dataset.json >r
        jq -c 'select(.split=="test") | {{id, caption: .captions[0]}}' r >h
        jq -c '.caption |= "a dog"' h >g
        vocab-build -q --type word --min-count 1 --out v r
        clip-featurize -q --weights {vit} --images toy/images --store s r
        capt-train -q --model show-tell --set width=8 --captions r --vocab v --store s --epochs 1 --log log --out a.ckpt
        {{ cat r; echo '{{"id":[]}}'; printf '{{"id":"\\351\\001"}}\\n'; }} >bad"""], cwd=folder, check=True)
    printed_by("coco-split", "caption", "cat r", 12)
    printed_by("capt-beam", "hypothesis", "capt-beam -q --model a.ckpt --store s --split all --nbest 2 --beam 2 r", 12)
    printed_by("capt-train --log", "log", "cat log", 3)
    printed_by("coco-score --per-image", "score", "coco-score -q --refs r --split test --per-image - h", 1)
    printed_by("coco-score --json", "total", "coco-score -q --refs r --split test --json h", 1)
    printed_by("coco-score --json, all metrics", "total", "coco-score -q --refs r --split test --metrics bleu,rouge,cider,cider-plain,diversity --json h", 1)
    printed_by("coco-score --json of two files", "total", "coco-score -q --refs r --split test --json h g | head -n 2", 2)
    printed_by("coco-score --json of two files", "difference", "coco-score -q --refs r --split test --resamples 20 --json h g | tail -n 1", 1)
    printed_by("--errors", "error", "vocab-build -q --type word --max-bad 9 --errors - --out w bad 2>/dev/null", 2)
    printed_by("capt-store dump of a store", "feature", "capt-store dump s", 12)
    printed_by("capt-store dump --npy", "feature", "capt-store dump --npy arrays s", 12)
    printed_by("capt-store dump of a checkpoint", "metadata", "capt-store dump a.ckpt | head -n 1", 1)
    printed_by("capt-store dump of a checkpoint", "tensor", "capt-store dump a.ckpt | tail -n +2", 3)
print(f"1..{tests}")
sys.exit(failed > 0)
