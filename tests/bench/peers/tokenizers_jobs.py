#!/usr/bin/env python3
"""The jobs of tests/bench/tokens.c by PyPI's tokenizers on one thread, and captions to try both on.

    tokenizers_jobs.py gpt2|bert FOLDER CAPTIONS     started by tokens: a line in ("encode", "decode": processor seconds; "compare FILE", then
                                                     "text": how many captions have other ids, or another text, than FILE)
    tokenizers_jobs.py mutate N SEED CAPTIONS >OUT   N captions with characters of all of Unicode put in, whole tokens, blanks, cases
    tokenizers_jobs.py every >OUT                    each character of Unicode between letters, after a digit, and alone

Encoding is encode_batch_fast, which keeps no offsets. BERT's [UNK] is part of the text (skip_special_tokens would hide it)."""
import os
import random
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"


def lines(path):
    with open(path, encoding="utf8", newline="") as f:
        return f.read().split("\n")[:-1]


def make(kind, folder):
    from tokenizers import BertWordPieceTokenizer, Tokenizer, decoders, models, pre_tokenizers
    if kind == "bert":
        return BertWordPieceTokenizer(folder + "/bert_base_uncased_vocab.txt", lowercase=True)._tokenizer
    t = Tokenizer(models.BPE.from_file(folder + "/gpt2_vocab.json", folder + "/gpt2_merges.txt"))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    return t


def serve(kind, folder, path):
    from tokenizers import Tokenizer
    t, captions = make(kind, folder), lines(path)
    if kind == "bert":  # "[SEP]" in a caption is text, not the token
        import json
        o = json.loads(t.to_str())
        o["added_tokens"], o["post_processor"] = [], None
        t = Tokenizer.from_str(json.dumps(o))
    encode = getattr(t, "encode_batch_fast", t.encode_batch)
    ids, wrong_text = None, 0
    for line in sys.stdin:
        what, _, file = line.strip().partition(" ")
        if what == "compare":
            wrong = wrong_text = 0
            for i, (mine, theirs) in enumerate(zip(ids, lines(file), strict=True)):
                got, _, text = theirs.partition("\t")
                if got != " ".join(map(str, mine)):
                    wrong += 1
                    if wrong <= int(os.environ.get("SHOW", "3")):
                        print("ids", i, ascii(captions[i]), [t.id_to_token(k) for k in mine], [t.id_to_token(int(k)) for k in got.split()], file=sys.stderr)
                elif text != t.decode(mine, skip_special_tokens=False):
                    wrong_text += 1
                    if wrong_text <= int(os.environ.get("SHOW", "3")):
                        print("text", i, ascii(captions[i]), ascii(text), ascii(t.decode(mine, skip_special_tokens=False)), file=sys.stderr)
            print(wrong, flush=True)
            continue
        if what == "text":
            print(wrong_text, flush=True)
            continue
        t0 = time.process_time()
        if what == "encode":
            out = encode(captions, add_special_tokens=False)
        else:
            out = t.decode_batch(ids, skip_special_tokens=False)
        print(time.process_time() - t0, flush=True)
        if what == "encode" and ids is None:
            ids = [o.ids for o in out]


def character(rnd):
    """Any but newline and the surrogates; half of them from the first planes' busy parts."""
    while True:
        r = rnd.random()
        c = rnd.randrange(1, 0x110000) if r < 0.3 else rnd.randrange(1, 0x3000) if r < 0.7 else rnd.randrange(1, 0x250) if r < 0.9 else rnd.randrange(0x1f000, 0x1fb00)
        if c != 10 and not 0xd800 <= c < 0xe000:
            return chr(c)


def mutate(n, seed, path):
    rnd, base = random.Random(seed), lines(path)
    odd = ["'s", "'S", "'re", "'LL", "n't", "  ", "\t", "\u00a0", "\u3000", "\u2028", "\r", "\x0b", "##ing", "[UNK]", "[CLS]", "<|endoftext|>", "\u0120", "\u00c4\u00a0", "e\u0301",
           "\u0130", "\u03a3", "\u1e9e", "\ufb01", "\u2160", "\u00bd", "\u0664", "\u200d", "\ufe0f", "\U0001f468\u200d\U0001f469", "\u65e5\u672c", "\ud55c\uae00", "\u0e01\u0e34", "\u0915\u094d", "don't", "a.b", "x" * 101,
           "\ufffd", "\u00ad", "\ufeff", "\u0345", "\u1100\u1161", "1,000", "$5", "''", "\"", "...", "!?"]
    for _ in range(n):
        c = rnd.choice(base)
        for _ in range(rnd.randint(1, 6)):
            i, k = rnd.randrange(len(c) + 1), rnd.randrange(8)
            if k < 3:
                c = c[:i] + "".join(character(rnd) for _ in range(rnd.randint(1, 4))) + c[i:]
            elif k < 5:
                c = c[:i] + rnd.choice(odd) + c[i:]
            elif k == 5:
                c = c[:i] + c[i:].upper()
            elif k == 6:
                c = c[:i] + " " * rnd.randint(1, 4) + c[i:]
            else:
                c = c[:i] + c[i + rnd.randint(0, 3):]
        sys.stdout.write(c.replace("\n", " ") + "\n")


def every():
    for c in range(1, 0x110000):
        if c != 10 and not 0xd800 <= c < 0xe000:
            sys.stdout.write(f"a{chr(c)}b 1{chr(c)} {chr(c)}{chr(c)} {chr(c)}\n")


if __name__ == "__main__":
    if sys.argv[1] == "mutate":
        sys.stdout.reconfigure(encoding="utf8", newline="")
        mutate(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1] == "every":
        sys.stdout.reconfigure(encoding="utf8", newline="")
        every()
    else:
        serve(*sys.argv[1:4])
