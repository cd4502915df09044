#!/usr/bin/env python3
"""Writes ptb.tsv and tokens.json: what public tokenizers make of mutated captions.

    python3 make_text.py ptb       # pip install pycocoevalcap==1.2, and a Java; writes ptb.tsv
    python3 make_text.py subword   # pip install tokenizers==0.23.3; writes tokens.json
    python3 make_text.py classes   # the same; prints the tables of lib/text/wordpiece_class.c
    python3 make_text.py compare COCO-SCORE [N [SEED [FILE]]]   # as ptb, but writes nothing: N captions (default 100000) made with
                                   # another seed, mutations of the lines of FILE or of the grammar's, tokenized by both; prints
                                   # what differs

ptb.tsv: caption, the lexer's line, the line after the scorers' list of dropped strings; one buffer in the order of the
file. tokens.json: a small byte-level BPE and a small WordPiece vocabulary trained on the captions, their ids for each, and
the text of random ids.
The captions are made up: sentences of a small grammar, mutated with a fixed seed."""
import json
import os
import random
import subprocess
import sys
import tempfile

rnd = random.Random(11)
SUBJECT = "a man|A woman|two dogs|The cat|a group of people|Three children|a red bus|One boy|someone's hand|an old couple".split("|")
VERB = "riding|sitting on|standing near|looks at|jumped over|is eating beside|can't see|isn't holding".split("|")
OBJECT = "a bench|the street|a wooden table|a wave|the field|an old bicycle|a pile of snow|a black-and-white dog|the boy's toy".split("|")
TAIL = "|in the sun|at night|with a ball.|next to a small dog .|on a hill, smiling|while it's raining!|(outside)|\"indoors\"".split("|")
PIECES = """c++ f# cannot gonna Gimme 'twas 'tis \u2019tis <b> </b> <a_href="x_y"> <?xml_a> \u2014 -- &amp; &lt; &gt; &quot; &apos; &nbsp;
&mdash; &#39; &eacute; don't can't won`t y'all it\u2019s we're I'll n't 's 'n' 'em '90s '80 o'clock R'n'B cap'n l'amour
dunkin' http://foo.com/a.b, www.a.co.uk/x/y. foo.com x2.com my-site.org/abc a@b.com <a@b.co> @user #tag #1 1/2 3/4
10/12/2010 5:30 1,000 1.5 -3 +4 \u00bd \u2154 \u00b2 x\u00b2 3_1/2 -LRB- pro- S&P-500 and/or w/o man-made/red US$ $5
\u00a35 \u20ac3 \u00a2 U.S. p.m. A. b. c. I. The A An He Mr. Mrs. St. Inc. Jr. etc. dec. no. No. fig. vs. Wash. wash. Ill.
ill. co. Ltd. Pty. Ph.D. a.k.a. mfg. MTG. Miss. file.txt a.jpg, (555)_123-4567 555-1234 +1_555_123_4567 555.123.4567 " \u201c
\u201d \u2018 \u2019 \u00ab '' `` ` :) :-) =D <3 ^_^ (^_^) >_< { } [ ] ( ) - --- ----- .. ... ....... ._._. \u2026 @@ ## __ ** , ;
: ! ? !! ?! \u3002 \u00bf = / t-shirt x-ray man_in_black o'neill-smith 747s T.V. a.b.c-d x-a.b.c. non-U.S. Canada-U.S AT&T
A&amp;B at&t << + % & ~ ^ | \\ \u00b0 \u00d7 \u2605 \u65e5\u672c \u00e9 na\u00efve co\u00adop \u00ad \U0001f436 dog\U0001f436s \u200b \u2003 \u0661\u0662 sat.The
yes!no cont'd c'mon nor'easter 'cause 'til li'l 5'10" 6'2 20\u00b0C dogs' US-based no.1 no.5, \u0130STANBUL \u039f\u0394\u039f\u03a3 \u212a"""
PIECES = [p.replace("_", " ") if p.count("_") == 1 or "555" in p or p == "._._." else p for p in PIECES.split()]
PUNCT = list(".,;:!?'\"`-_/\\()[]<>&@#$%*+=~ ") + ["\u2019", "\u00a0", "\u00ad"]


def caption():
    return " ".join(f"{rnd.choice(SUBJECT)} {rnd.choice(VERB)} {rnd.choice(OBJECT)} {rnd.choice(TAIL)}".split())


def mutate(c):
    for _ in range(rnd.randint(1, 4)):
        i, kind, words = rnd.randrange(len(c) + 1), rnd.randrange(7), c.split(" ")
        j = rnd.randrange(len(words))
        if kind == 0:
            c = c[:i] + rnd.choice(PUNCT) + c[i:]
        elif kind == 1:
            c = " ".join(words[:j] + [rnd.choice(PIECES)] + words[j:])
        elif kind == 2:
            c = c[:i] + rnd.choice(PIECES) + c[i:]
        elif kind == 3:
            words[j] = rnd.choice([words[j].upper(), words[j].capitalize(), words[j] + ".", words[j] + "'s", "'" + words[j] + "'"])
            c = " ".join(words)
        elif kind == 4:
            c = c.rstrip(" .") + rnd.choice([" " + rnd.choice(PIECES), ".", "", "!", " b.", " no.", " Ill."])
        elif kind == 5:
            c = rnd.choice(["A ", "The ", "Two ", "5 ", "<b> ", '"', "Mr. "]) + c
        else:
            c = rnd.choice(PIECES) + rnd.choice(["", " ", ".", "-", "'"]) + rnd.choice(PIECES) + " " + c
    return c


CHECKS = """can't wait; it's gonna rain|dogs' toys|don`t|y'all|rock 'n' roll|5'10 man|6'2|no.1 dog|no. seven|5:30pm|20\u00b0C|90's|'90s
w/ dog|mother's-day|a -- b|A b. C|U.S. Post|foo.com|in the u.s.|The man|I am I. The end|I am I. Then|St. John|x Blvd. Rd.|1,2,3 a,b
&quot;hi&quot;""".replace("\n", "|").split("|")
CAPTIONS = CHECKS + [""] + [mutate(caption()) for _ in range(450)] + ["".join(rnd.choice(PIECES) + rnd.choice(["", " ", ". "])
                                                                              for _ in range(4)) for _ in range(120)]


def official(captions):
    """The lexer's lines, and what the scorers keep of them."""
    from pycocoevalcap.tokenizer import ptbtokenizer as t
    jar = os.path.join(os.path.dirname(t.__file__), t.STANFORD_CORENLP_3_4_1_JAR)
    run = subprocess.run(["java", "-Dfile.encoding=UTF-8", "-cp", jar, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"],
                         input="\n".join(captions).encode(), capture_output=True, check=True)
    lines = run.stdout.decode().split("\n")
    assert len(lines) == len(captions), (len(lines), len(captions))
    return lines, [" ".join(w for w in line.rstrip().split(" ") if w not in t.PUNCTUATIONS) for line in lines]


def ptb():
    with open("ptb.tsv", "w", encoding="utf8", newline="") as f:
        for row in zip(CAPTIONS, *official(CAPTIONS)):
            f.write("\t".join(row) + "\n")


def wild(c):
    """Up to three characters of anywhere in Unicode, digits or letters; none that breaks a line."""
    for _ in range(rnd.randrange(4)):
        i = rnd.randrange(len(c) + 1)
        lo, hi = rnd.choice([(0xa0, 0x24f), (0x250, 0x7ff), (0x800, 0x1fff), (0x2000, 0x2bff), (0x2c00, 0xd7ff), (0xf900, 0xfffd), (0x10000, 0x1faff),
                             (0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)])
        x = chr(rnd.randint(lo, hi))
        c = c[:i] + ("" if x in "\u2028\u2029" else x) + c[i:]
    return c


def compare(program, n=100000, seed=1, path=None):
    rnd.seed(int(seed))
    with open(path or os.devnull, encoding="utf8") as f:
        lines = f.read().splitlines() or None
    captions = [wild(mutate(rnd.choice(lines) if lines else caption())) for _ in range(int(n))]
    with tempfile.TemporaryDirectory() as tmp:
        with open(tmp + "/refs", "w") as refs, open(tmp + "/hyps", "w") as hyps:
            for i, c in enumerate(captions):
                refs.write(json.dumps({"image_id": i, "refs": ["a"]}) + "\n")
                hyps.write(json.dumps({"image_id": i, "caption": c}) + "\n")
        subprocess.run([program, "-q", "--metrics", "rouge", "--json", "--spice-input", tmp + "/tokens", "--refs", tmp + "/refs", tmp + "/hyps"],
                       stdout=subprocess.DEVNULL, check=True)
        with open(tmp + "/tokens", encoding="utf8") as f:
            ours = [x["test"] for x in json.load(f)]
    rows = [row for row in zip(captions, official(captions)[1], ours) if row[1] != row[2]]
    for c, want, got in rows[:20]:
        print(f"{c!r}\n    official {want!r}\n    ours     {got!r}")
    print(f"{len(captions)} captions, {len(rows)} differ")
    return 1 if rows else 0


def texts(tokenizer, *left_out):
    """Random ids, most of them of short pieces (of GPT-2's bytes, few are whole characters), and their text. NUL and specials are left out."""
    r, n, out = random.Random(5), tokenizer.get_vocab_size(), []
    for _ in range(120):
        ids = [r.randrange(min(n, 300) if r.random() < 0.7 else n) for _ in range(r.randint(1, 12))]
        ids = [i for i in ids if i not in left_out and "\u0100" not in tokenizer.id_to_token(i)]
        out.append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False)})
    return out


def ranges(numbers):
    out = []
    for i in numbers:
        if out and i == out[-1][1] + 1:
            out[-1][1] = i
        else:
            out.append([i, i])
    return out


def classes():
    """What BERT's normalizer and splitter do to each character between two letters: dropped, an accent, punctuation, another case."""
    import unicodedata
    from tokenizers import normalizers, pre_tokenizers
    norm, cut = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    dropped, marks, punctuation, lower = [], [], [], []
    for c in range(128, 0x110000):
        if 0xd800 <= c < 0xe000:
            continue
        n = norm.normalize_str(f"a{chr(c)}b")[1:-1]
        if n == "":
            (marks if unicodedata.category(chr(c))[0] == "M" else dropped).append(c)
        elif n == chr(c) and len(cut.pre_tokenize_str(f"a{n}b")) == 3 and not n.isspace():
            punctuation.append(c)
        elif n.strip() != chr(c) and unicodedata.category(chr(c)) == "Cn":  # unknown to this Python (Unicode 14), and changed
            lower.append((c, ord(n)))
    for name, table in ("dropped", dropped), ("marks", marks), ("punctuation", punctuation):
        print(f"static const uint32_t {name}[][2] = {{")
        rows = ["{%#x, %#x}" % tuple(x) for x in ranges(table)]
        for i in range(0, len(rows), 8):
            print("    " + ", ".join(rows[i:i + 8]) + ",")
        print("};")
    print("static const uint32_t lower[][3] = {")
    runs = []
    for c, to in lower:
        if runs and c == runs[-1][1] + 1 and to - c == runs[-1][2] - runs[-1][0]:
            runs[-1][1] = c
        else:
            runs.append([c, c, to])
    print("    " + ", ".join("{%#x, %#x, %#x}" % tuple(x) for x in runs) + ",\n};")


def subword():
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    odd = ["", " ", "  two  blanks ", "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m", "\u65e5\u672c\u8a9e dog", "x" * 120, "I'll we've 'S it'D", "a\tb\nc",
           "\u00a0 nbsp\u3000wide", "12\u00bd \u0664\u0665", "zero\u200bwidth", "e\u0301 \u0130I", "[UNK] [CLS]", "<|endoftext|", "\U0001f436!?", "a\u00ad-\ufffd"]
    cases = odd + CAPTIONS[:260]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(CAPTIONS, trainers.BpeTrainer(vocab_size=700, show_progress=False, special_tokens=[],
                                                          initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    wp = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    wp.normalizer = normalizers.BertNormalizer(lowercase=True)
    wp.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wp.decoder = decoders.WordPiece(prefix="##")
    wp.train_from_iterator(CAPTIONS, trainers.WordPieceTrainer(vocab_size=600, show_progress=False,
                                                               special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))
    b, w = json.loads(bpe.to_str())["model"], json.loads(wp.to_str())["model"]
    plain = Tokenizer(models.WordPiece(w["vocab"], unk_token="[UNK]", max_input_chars_per_word=100))  # "[CLS]" is text to it
    plain.normalizer, plain.pre_tokenizer, plain.decoder, wp = wp.normalizer, wp.pre_tokenizer, wp.decoder, plain
    by_id = lambda v: [t for t, _ in sorted(v.items(), key=lambda x: x[1])]
    merges = [m if isinstance(m, str) else " ".join(m) for m in b["merges"]]
    out = {"bpe": {"tokens": by_id(b["vocab"]) + ["<|endoftext|>"], "merges": merges}, "wordpiece": {"tokens": by_id(w["vocab"])},
           "cases": [{"text": c, "bpe": bpe.encode(c, add_special_tokens=False).ids,
                      "wordpiece": wp.encode(c, add_special_tokens=False).ids} for c in cases],
           "texts": {"bpe": texts(bpe, bpe.token_to_id("\u0100")), "wordpiece": texts(wp, *map(wp.token_to_id, ("[PAD]", "[CLS]", "[SEP]")))}}
    with open("tokens.json", "w", encoding="utf8") as f:
        json.dump(out, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    sys.exit({"ptb": ptb, "subword": subword, "classes": classes, "compare": compare}[sys.argv[1]](*sys.argv[2:]))
