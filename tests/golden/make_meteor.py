#!/usr/bin/env python3
"""Writes meteor.json: METEOR 1.5 (the jar in pip's pycocoevalcap 1.2, OpenJDK 17) on a small made-up set with synonyms,
irregular forms and paraphrases made up as well, with and without the paraphrases.

    python3 make_meteor.py >meteor.json

The sentences come from a small grammar with a fixed seed; some are mutated with what the normaliser knows."""
import gzip
import json
import os
import random
import subprocess
import tempfile

import pycocoevalcap.meteor.meteor

rnd = random.Random(11)
SYNSETS = {  # word: synsets
    "man": [10, 11], "guy": [10], "woman": [12], "lady": [12, 13], "bike": [20, 21], "bicycle": [20], "cycle": [20, 22],
    "ride": [30, 22], "sit": [31], "rest": [31, 32], "dog": [40], "hound": [40], "pup": [40, 41], "street": [50],
    "road": [50, 51], "hand": [60], "handful": [61], "fistful": [61], "child": [70], "kid": [70, 71], "run": [80],
    "rush": [80, 81], "box": [90], "case": [90], "church": [91], "chapel": [91], "city": [92], "town": [92, 51], "glass": [93],
    "big": [100], "large": [100], "us": [110], "gras": [93], "it": [111], "s_word": [112]}
EXCEPTIONS = {"child": "children", "run": "ran running", "sit": "sat", "ride": "rode ridden", "rest": "ran", "man": "men", "city": "handfuls"}
TABLE = """is sitting on|sits on
sits on|is sitting on
a group of|several
several|a group of
a group of people|several people
several people|a group of people
people|persons
on top of|on
on|on top of
in front of|before
next to|beside
beside|next to
is|'s
's|is
is riding|rides
rides|is riding
riding a bike|cycling
cycling|riding a bike
a man|a person
a person|a man
man|person
a man|someone
a|the
the|a
a|one
a|a
in the|in
in|in the
the street|a road
two dogs|dogs
the big dog runs down the street|a large animal in the road
a large|the big
standing|is
c5|town
20s|225
it 's|it is
n 't|not
has been|was""".split("\n")

SUBJECT = """a man|the man|two men|a woman|a lady|two dogs|the big dog|a large hound|a group of people|several people|children
|a kid|someone|it""".replace("\n", "").split("|")
VERB = """is riding|rides|rode|is sitting on|sits on|resting on|is standing next to|stands beside|ran in front of|runs before|is running in
|has been on|was on top of|is n't on""".replace("\n", "").split("|")
OBJECT = """a bike|the bicycle|a bench|the street|a road|the town|a city street|the churches|a box|two boxes|the man|a big dog|one handful of
 glass|a fistful of glasses|handfuls""".replace("\n", "").split("|")
TAIL = "|in the street|in front of people|with a dog|on top of the box|while it 's raining|beside a man on a bike|with the kid 's dog".split("|")
ODD = [" ", "-", "'", "''", ",", ".", "`", "1,5", "u.s.", "a.m.", "10:30", "1/2", "half-eaten", "o'clock", "5's", "v.", "st.", "rev.", "pp. 5",
       "caf\u00e9", "\u2018dog\u2019", "\u201cdog\u201d", "\u2013", "--", "2\u00a01/2", "\U0001f600", "as", "c5", "225", "20s", "\u0130", "..."]


def sentence():
    return " ".join(f"{rnd.choice(SUBJECT)} {rnd.choice(VERB)} {rnd.choice(OBJECT)} {rnd.choice(TAIL)}".split())


def odd():
    w = sentence().split(" ")
    for _ in range(rnd.randint(1, 3)):
        w.insert(rnd.randint(0, len(w)), rnd.choice(ODD))
    return " ".join(w)


images = [{"hyp": sentence(), "refs": [sentence() for _ in range(rnd.randint(2, 5))]} for _ in range(120)]
for x in images[80:]:
    x["hyp"], x["refs"][0] = odd(), odd()
images[3]["hyp"] = ""
images[4]["hyp"] = "dog"
images[5]["hyp"] = "a a a a a a a a a"
images[6]["refs"] = images[6]["refs"][:1]
images[7]["hyp"] = images[7]["refs"][1]
images[8]["hyp"] = " ".join(sentence() for _ in range(8))
images[9]["refs"][0] = " ".join(sentence() for _ in range(9))
images[8]["refs"][0] = " ".join(sentence() for _ in range(7))
images[10]["hyp"] = "this ||| is a man"
images[11] = {"hyp": "the big dog runs down the street", "refs": ["a large animal in the road", "no"]}
images[12] = {"hyp": "a large animal in the road", "refs": ["the big dog runs down the street"]}
images[13] = {"hyp": "one two three four five six", "refs": ["seven eight nine"]}


def scores(folder, table):
    jar = os.path.join(os.path.dirname(pycocoevalcap.meteor.meteor.__file__), "meteor-1.5.jar")
    p = subprocess.Popen(["java", "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", jar, "-", "-", "-stdio", "-l", "en", "-norm", "-d",
                          folder, "-a", table], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")

    def ask(line):
        p.stdin.write(line + "\n")
        p.stdin.flush()
        return p.stdout.readline().strip()

    stats = [ask(" ||| ".join(["SCORE"] + x["refs"] + [x["hyp"].replace("|||", "").replace("  ", " ")])) for x in images]
    each = [float(ask(" ||| ".join(["EVAL"] + stats)))] + [float(p.stdout.readline()) for _ in stats[1:]]
    value = float(p.stdout.readline())
    p.stdin.close()
    p.wait()
    return {"value": value, "each": each, "stats": [[int(float(v)) for v in s.split()] for s in stats]}


out = {"synsets": [s for w, v in sorted(SYNSETS.items()) for s in (w, " ".join(f"{x:08d}" for x in v))],
       "exceptions": [s for w, v in EXCEPTIONS.items() for s in (w, v)],
       "table": [s for row in TABLE for s in ("0.5", *row.split("|"))], "images": images}
with tempfile.TemporaryDirectory() as tmp:
    for name in ("synsets", "exceptions", "relations"):
        with open(f"{tmp}/english.{name}", "w") as f:
            f.writelines(s + "\n" for s in out.get(name, ()))
    for name, rows in (("full", out["table"]), ("none", [])):
        with gzip.open(f"{tmp}/{name}.gz", "wt", encoding="utf-8") as f:
            f.writelines(s + "\n" for s in rows)
    out["METEOR"] = scores(tmp, f"{tmp}/full.gz")
    out["METEOR-nopara"] = scores(tmp, f"{tmp}/none.gz")
print(json.dumps(out, ensure_ascii=False, separators=(",", ":")))
