#!/usr/bin/python3
"""`thresh run --state DIR`, killed and interrupted again and again, goes on where it was: at the end
each item is in the output once. Sometimes all its processes are killed, sometimes only the first,
whose broker and workers must then end by themselves."""
import json
import os
import signal
import subprocess

from harness import (Kit, Web, check, check_once, page, read_results, say, seeded_dice, skip, wait_for)

ROUNDS = int(os.environ.get("THRESH_ROUNDS", 12))
HOSTS = 10
PAGES = 300
DOCUMENTS = 300
INTERRUPTED = 10  # exit code


def make_items(kit, dice):
    web = Web(kit, [f"127.0.5.{number + 1}" for number in range(HOSTS)])
    items = [{"url": web.put(f"127.0.5.{number % HOSTS + 1}", f"{number}.html",
                             page(f"Page {number}", dice, 2))} for number in range(PAGES)]
    items += [{"url": f"name:document {number}", "content_type": "text/plain",
               "body": f"The document number {number}."} for number in range(DOCUMENTS)]
    dice.shuffle(items)
    path = kit.directory / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path, {item["url"] for item in items}


def runs_in(session):
    listed = subprocess.run(["ps", "-o", "stat=", "-s", str(session)], capture_output=True, text=True,
                            check=False).stdout.split()
    return any(not state.startswith("Z") for state in listed)


def start(kit, items, output):
    return kit.start("run", [kit.bin / "thresh", "run", items, f"--state={kit.directory / 'state'}",
                             f"--output={output}", "--allow-private", "--gap=60ms", "--workers=2",
                             "--children=1", "--lease=2s", "--heartbeat=200ms", "--takeover=500ms",
                             "--drain=2s"])


def end(process, dice):
    """Ends a run in one of three ways. Returns how."""
    how = dice.choice(("all killed", "the first killed", "interrupted"))
    if how == "all killed":
        process.kill()
    elif how == "the first killed":
        process.popen.kill()
        process.exit_code()
    else:
        process.popen.send_signal(signal.SIGINT)
        code = process.exit_code()
        check(code in (0, INTERRUPTED), f"an interrupted run ended with {code}")
    wait_for(lambda: not runs_in(process.pid), f"all processes to end ({how})")
    return how


def main():
    dice = seeded_dice()
    with Kit() as kit:
        if not (kit.has("thresh") and kit.has("thresh-worker")):
            skip("thresh and thresh-worker are not built")
        items, urls = make_items(kit, dice)
        output = kit.directory / "results.jsonl"
        ways = []
        for number in range(ROUNDS):
            process = start(kit, items, output)
            goal = (output.stat().st_size if output.exists() else 0) + dice.randrange(30000)
            wait_for(lambda: not process.is_running() or
                     (output.exists() and output.stat().st_size > goal), "some more results")
            if not process.is_running():
                process.expect_exit(0)
                break
            ways.append(end(process, dice))
            say(f"run {number + 1}: {ways[-1]} with {len(read_results(output))} results")
        start(kit, items, output).expect_exit(0, 120)
        by_url = check_once(read_results(output))
        check(by_url.keys() == urls, f"{len(by_url)} of {len(urls)} items in the output")
        bad = [result for result in by_url.values() if result["outcome"] != "ok"]
        check(not bad, f"not ok: {bad[:2]}")
        check(len(ways) >= min(ROUNDS, 4), f"only {len(ways)} interruptions before all was done")
        say(f"{len(ways)} interruptions, {len(by_url)} results, each once")


if __name__ == "__main__":
    main()
