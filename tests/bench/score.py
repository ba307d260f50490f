#!/usr/bin/env python3
"""Scores the extractor on pages with known content.

usage: score.py EXTRACT_JSON [DATA [SCORER]] [-- OPTIONS OF THE SCORER]

EXTRACT_JSON is the built program of that name. DATA holds aeb/ and wcxb/ (../shared/data/extraction
beside the project by default), SCORER is score-extraction (../shared/tools). Outputs are left in a
temporary folder, whose name is printed.
"""
import gzip
import json
import lzma
import os
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


def fields(truth, output):
    """Share of the pages whose title and date are known where ours are the same."""
    def plain(text):
        return "".join(c for c in text.lower() if c.isalnum())

    title = [plain(row["title"]) == plain(output.get(page, {}).get("title", ""))
             for page, row in truth.items() if row.get("title")]
    date = [row["date"] == output.get(page, {}).get("published", "")[:10]
            for page, row in truth.items() if row.get("date")]
    for name, hits in (("title", title), ("date", date)):
        if hits:
            print(f"{name:<10} {sum(hits) / len(hits):.4f} of {len(hits)}")


def main():
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1:]
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


main()
