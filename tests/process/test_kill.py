#!/usr/bin/python3
"""kill -9 of everything at random moments under load, on one store that goes on (F1, F13, F19-F21).

Two feeders in Python that note on disk what was acknowledged (documents and URLs mixed), `thresh
feed` with a spool, two workers, and two collectors, of which one is `thresh collect`. Each round
kills one to three of them at a random moment and starts them again; feeders that are through get
new items, so that there is always load. After each round the ledger must add up; after every tenth
all must settle: no acknowledged task lost, no task twice.
"""
import json
import os
import pathlib

from harness import (FAST, Kit, Web, check, check_ledger, check_once, page, read_results, say,
                     seeded_dice, wait_for)

ROUNDS = int(os.environ.get("THRESH_ROUNDS", 50))
ROUNDS_A_STRETCH = 10
HOSTS = 10
ITEMS = 80  # in one file for a feeder
RESULT_BYTES = 200  # about, of a line
IS_REAL = os.environ.get("THRESH_PEERS", "real") == "real"


class Fleet:
    """Every program of the test, by name, with how to start it and what it has to do."""

    def __init__(self, kit, dice):
        self.kit = kit
        self.dice = dice
        self.files = {}  # of a feeder: how many it has got
        self.running = {}
        self.fed = set()  # URLs and names that feeders were given in full
        self.web = Web(kit, [f"127.0.2.{i + 1}" for i in range(HOSTS)])
        self.is_real = IS_REAL and kit.has("thresh-worker") and kit.has("thresh")
        self.pages = 0
        say("workers, a feeder and a collector: " + ("real" if self.is_real else "Python"))

    def start(self, name):
        kit = self.kit
        kind = name.split("-")[0]
        if kind == "broker":
            process = kit.broker(is_awaited=False, **{k.replace("-", "_"): v for k, v in FAST.items()})
        elif kind == "worker" and self.is_real:
            process = kit.worker(name=name)
        elif kind == "worker":
            process = kit.python(name, "work", kit.endpoints["work"], name, "3")
        elif kind == "feeder":
            process = kit.python(name, "feed", kit.endpoints["feed"], self.journal(name),
                                 self.items(name))
        elif kind == "spooler":
            process = kit.feeder(self.items(name), spool=kit.directory / "spool")
        elif name == "collector-real":
            process = kit.collector(self.output(name), name=name)
        else:
            process = kit.python(name, "collect", kit.endpoints["collect"], name,
                                 self.output(name))
        self.running[name] = process

    def items(self, name):
        return self.kit.directory / f"{name}-{self.files[name]}.jsonl"

    def journal(self, name):
        return self.kit.directory / f"{name}-{self.files[name]}.acknowledged"

    def output(self, name):
        return self.kit.directory / f"{name}.results.jsonl"

    def collectors(self):
        return ["collector-python"] + (["collector-real"] if self.is_real else [])

    def feeders(self):
        return ["feeder-1", "feeder-2"] + (["spooler"] if self.is_real else [])

    def make_items(self, name):
        """Half documents, half pages, under names that were never used before."""
        self.files[name] = self.files.get(name, 0) + 1
        lines = []
        for _ in range(ITEMS):
            self.pages += 1
            if self.dice.random() < 0.5:
                lines.append({"url": f"name:{name} {self.pages}", "content_type": "text/plain",
                              "body": f"The document number {self.pages} of the feeder {name}."})
            else:
                address = f"127.0.2.{self.dice.randrange(HOSTS) + 1}"
                lines.append({"url": self.web.put(address, f"{self.pages}.html",
                                                  page(f"Page {self.pages}", self.dice, 1))})
            self.fed.add(lines[-1]["url"])
        self.items(name).write_text("".join(json.dumps(line) + "\n" for line in lines))

    def restart(self, name):
        """Starts again what was killed; a feeder that is through starts with new items."""
        process = self.running[name]
        if process.is_running():
            return
        code = process.popen.returncode
        if name in self.feeders() and code == 0:
            self.make_items(name)
        else:
            check(code == -9, f"{name} ended by itself with {code}")
        self.start(name)

    def acknowledged(self):
        """URLs of the items that the Python feeders know to be safe."""
        urls = set()
        for journal in self.kit.directory.glob("feeder-*.acknowledged"):
            items = journal.with_suffix(".jsonl").read_text().splitlines()
            urls |= {json.loads(items[int(number)])["url"]
                     for number in journal.read_text().split("\n")[:-1]}
        return urls


def run_round(fleet, dice, number):
    victims = dice.sample(sorted(fleet.running), dice.choice((1, 1, 1, 2, 3)))
    if number % 3 == 0 and "broker" not in victims:
        victims[0] = "broker"
    output = fleet.output("collector-python")
    size = output.stat().st_size if output.exists() else 0
    growth = dice.randrange(1, ITEMS * RESULT_BYTES)
    turns = iter(range(dice.randrange(5, 100)))
    # A random moment: when some more results have been written, or some turns have passed.
    wait_for(lambda: next(turns, None) is None or
             (output.exists() and output.stat().st_size > size + growth), "a moment")
    for name in victims:
        fleet.running[name].kill()
    for name in fleet.running:
        fleet.restart(name)
    status = fleet.kit.status()
    check_ledger(status)
    tasks = status["tasks"]
    say(f"round {number}: killed {' '.join(victims)}; boot {status['boot']}, "
        f"{tasks['accepted']} accepted, {tasks['leased']} leased, {tasks['done']} done")


def check_settled(fleet):
    """All feeders end, everything settles, and the books agree."""
    for name in fleet.feeders():
        fleet.running.pop(name).expect_exit(0, 120)
    missing = fleet.fed - fleet.acknowledged()
    check(fleet.is_real or not missing, f"never acknowledged: {sorted(missing)[:5]}")
    status = fleet.kit.wait_settled(120)
    check_ledger(status)
    accepted = status["tasks"]["accepted"]
    for name in fleet.collectors():
        # What it has acknowledged is in its output.
        by_url = check_once(read_results(fleet.output(name)))
        lost = fleet.acknowledged() - by_url.keys()
        check(not lost, f"acknowledged and lost: {sorted(lost)[:5]} ({len(lost)}) in {name}")
        check(by_url.keys() == fleet.fed, f"{name}: {len(by_url)} URLs, {len(fleet.fed)} were fed: "
              f"{sorted(fleet.fed ^ by_url.keys())[:5]}")
        check(len(by_url) == accepted, f"{accepted} accepted, {len(by_url)} in {name}")
        bad = [result for result in by_url.values() if result["outcome"] != "ok"]
        check(not bad, f"not ok: {bad[:2]}")
    check(status["tasks"]["dead"] == 0, "dead letters")
    check(status["totals"]["outcome"]["ok"] == accepted, f"totals: {status['totals']['outcome']}")
    say(f"settled: {accepted} accepted, all collected once; {status['counters']}")


def main():
    dice = seeded_dice()
    with Kit() as kit:
        fleet = Fleet(kit, dice)
        for name in ["broker", "worker-1", "worker-2", *fleet.collectors()]:
            fleet.start(name)
        # A new name gets what is kept: all must be known before the first result may be deleted.
        wait_for(lambda: len(kit.status()["results"]["collectors"]) == len(fleet.collectors()),
                 "all collectors to be known")
        for number in range(1, ROUNDS + 1):
            if (number - 1) % ROUNDS_A_STRETCH == 0:
                for name in fleet.feeders():
                    fleet.make_items(name)
                    fleet.start(name)
            run_round(fleet, dice, number)
            if number % ROUNDS_A_STRETCH == 0:
                check_settled(fleet)
        say(f"{ROUNDS} rounds")


if __name__ == "__main__":
    main()
