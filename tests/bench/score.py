#!/usr/bin/env python3
"""Scores the extractor on pages with known content.

usage: score.py [--folds] EXTRACT_JSON [DATA [SCORER]] [-- OPTIONS OF THE SCORER]

--folds splits the pages into five by a hash of their names and prints F1 of each fifth: a rule
holds in general when it helps on nearly all of them.

EXTRACT_JSON is the built program of that name. DATA holds aeb/ and wcxb/ (../shared/data/extraction
beside the project by default), SCORER is score-extraction (../shared/tools). Outputs are left in a
temporary folder, whose name is printed.
"""
import gzip
import hashlib
import importlib.machinery
import importlib.util
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SHARED = os.path.join(ROOT, "..", "shared")
SETS = (("aeb", "ground-truth.json", "shingle"), ("wcxb", "ground-truth.json.xz", "word"))


def read(path):
    opener = gzip.open if path.endswith(".gz") else lzma.open if path.endswith(".xz") else open
    with opener(path, "rb") as source:
        return source.read()


def extract(program, data, name, truth, folder):
    pages = os.path.join(folder, name)
    os.makedirs(pages, exist_ok=True)
    lines = []
    for entry in sorted(os.listdir(os.path.join(data, name, "html"))):
        page = entry.split(".")[0]
        path = os.path.join(pages, page + ".html")
        if not os.path.exists(path):
            with open(path, "wb") as out:
                out.write(read(os.path.join(data, name, "html", entry)))
        lines.append("\t".join((page, truth.get(page, {}).get("url") or "", path)))
    done = subprocess.run([program], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"score.py: {program} ended with {done.returncode}")
    rows = (json.loads(line) for line in done.stdout.split("\n") if line)
    return {row.pop("id"): row for row in rows}


def plain(text):
    return "".join(c for c in (text or "").lower() if c.isalnum())


def author_right(name, ours):
    """The name alone is among ours, or ours together are what the truth has in one line."""
    together = plain("".join(ours))
    return (plain(name) in [plain(author) for author in ours]
            or together in (plain(name), plain(re.sub(r"\band\b", "", name))))


def fields(truth, output):
    """Share of the pages whose title, date and author are known where ours are the same."""
    def ours(page, name):
        return output.get(page, {}).get(name) or ""

    rights = {
        "title": [plain(row["title"]) == plain(ours(page, "title"))
                  for page, row in truth.items() if row.get("title")],
        "date": [row["date"] == ours(page, "published")[:10]
                 for page, row in truth.items() if row.get("date")],
        "author": [author_right(row["author"], ours(page, "authors") or [])
                   for page, row in truth.items() if row.get("author")],
    }
    for name, hits in rights.items():
        if hits:
            print(f"{name:<10} {sum(hits) / len(hits):.4f} of {len(hits)}")


FOLDS = 5


def folds(scorer_path, metric, truth, output):
    """F1 of each fifth of the pages, as the scorer counts it."""
    loader = importlib.machinery.SourceFileLoader("scorer", scorer_path)
    scorer = importlib.util.module_from_spec(importlib.util.spec_from_loader("scorer", loader))
    was_writing, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(scorer)
    sys.dont_write_bytecode = was_writing
    score = scorer.shingle_page if metric == "shingle" else scorer.word_page
    parts = [[] for _ in range(FOLDS)]
    for page, row in truth.items():
        fold = int(hashlib.sha256(page.encode()).hexdigest(), 16) % FOLDS
        parts[fold].append(score(scorer.body(row), scorer.body(output.get(page))))
    print("folds F1  ", " ".join(f"{scorer.totals(part, metric)['F1']:.4f}" for part in parts))


def main():
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1:]
    with_folds = "--folds" in arguments
    arguments = [argument for argument in arguments if argument != "--folds"]
    if not arguments:
        sys.exit(__doc__)
    data = arguments[1] if len(arguments) > 1 else os.path.join(SHARED, "data", "extraction")
    scorer = arguments[2] if len(arguments) > 2 else os.path.join(SHARED, "tools", "score-extraction")
    folder = os.environ.get("SCORE_FOLDER") or tempfile.mkdtemp(prefix="thresh-score-")
    print("outputs in", folder)
    for name, truth_file, metric in SETS:
        path = os.path.join(data, name, truth_file)
        truth = json.loads(read(path))
        output = extract(arguments[0], data, name, truth, folder)
        result = os.path.join(folder, name + ".json")
        with open(result, "w") as out:
            json.dump(output, out)
        print(f"--- {name}", flush=True)
        subprocess.run([sys.executable, scorer, "-m", metric, *options, path, result], check=True)
        fields(truth, output)
        if with_folds:
            folds(scorer, metric, truth, output)


main()
