#!/usr/bin/python3
"""1,000 pages on 50 hosts through the whole path: broker, 4 workers and a collector as processes of
their own over TCP, then `thresh run` in one command. Every URL once in the output, the gap of every
host held in the web server's own log, the broker's sums equal to a recount of the output."""
import collections
import re
import subprocess

from harness import (Kit, Web, check, check_ledger, check_once, page, read_results, say,
                     seeded_dice, skip, wait_for)

HOSTS = [f"127.0.1.{number + 1}" for number in range(50)]
PAGES = 20  # of each host
WORKERS = 4
GAP_MS = 100
TOLERANCE_MS = 5
NOT_FOUND = 7  # of the URLs have no page
INTERRUPTED = 10  # exit code of a collector that is told to stop
HOSTS_IN_STATUS = 20  # of the totals, the busiest


def make_pages(kit, dice):
    web = Web(kit, HOSTS)
    urls = [web.put(host, f"{number}.html", page(f"Page {number} of {host}", dice))
            for host in HOSTS for number in range(PAGES)]
    for url in dice.sample(urls, NOT_FOUND):
        host, name = re.match(r"http://([^:]+):\d+/(.*)", url).groups()
        (web.root / host / name).unlink()
    dice.shuffle(urls)
    inputs = kit.directory / "pages.urls"
    inputs.write_text("".join(f"{url}\n" for url in urls))
    return web, urls, inputs


def recount(results):
    """The broker's sums, from the output alone."""
    sums = {name: collections.Counter() for name in ("outcome", "http_status", "content_type",
                                                     "language", "host")}
    for result in results:
        sums["outcome"][result["outcome"]] += 1
        sums["http_status"][str(result["http_status"])] += 1
        sums["host"][re.match(r"http://([^:/]+)", result["url"]).group(1)] += 1
        for name in ("content_type", "language"):
            if result["outcome"] == "ok" and result.get(name):
                sums[name][result[name]] += 1
    return sums


def check_output(results, urls, web):
    by_url = check_once(results)
    check(by_url.keys() == set(urls), f"{len(by_url)} URLs of {len(urls)} in the output; "
          f"missing {sorted(set(urls) - by_url.keys())[:3]}")
    for url, result in by_url.items():
        host, number = re.match(r"http://([^:]+):\d+/(\d+)", url).groups()
        if not (web.root / host / f"{number}.html").exists():
            check(result["outcome"] == "http_client_error" and result["http_status"] == 404,
                  f"no such page: {result}")
            continue
        check(result["outcome"] == "ok" and result["http_status"] == 200, f"{result}")
        check(result["title"] == f"Page {number} of {host}" and result["word_count"] > 100,
              f"{result}")


def check_gaps(web, urls, first):
    """Of the requests from the number first on: each URL once, hosts not asked too soon."""
    requests = web.requests()[first:]
    asked = collections.Counter(f"http://{address}:{web.port}{path}"
                                for _, address, _, path in requests)
    check(asked.keys() == set(urls), f"asked for: {sorted(asked.keys() ^ set(urls))[:3]}")
    check(max(asked.values()) == 1, f"asked for twice: {asked.most_common(3)}")
    by_host = collections.defaultdict(list)
    for start, address, _, _ in requests:
        by_host[address].append(start)
    pairs = [pair for starts in by_host.values() for pair in zip(starts, starts[1:])]
    smallest = min(later - earlier for earlier, later in pairs) * 1000
    early = sorted(pair for pair in pairs if pair[1] - pair[0] < (GAP_MS - TOLERANCE_MS) / 1000)
    say(f"{len(requests)} requests at {len(by_host)} hosts, smallest gap {smallest:.0f} ms"
        + ("" if web.is_witness else " (not judged: nginx has no real-time priority here)"))
    check(not early or not web.is_witness, f"{len(early)} gaps are too small, one of {smallest} ms; {GAP_MS} ms was asked for")
    return len(requests)


def check_sums(status, results):
    sums = recount(results)
    totals = status["totals"]
    for name in ("outcome", "http_status", "content_type", "language"):
        check(totals[name] == dict(sums[name]), f"{name}: {totals[name]}, counted {sums[name]}")
    check(len(totals["host"]) == HOSTS_IN_STATUS, f"{len(totals['host'])} hosts in the totals")
    wrong = {host: count for host, count in totals["host"].items() if sums["host"][host] != count}
    check(not wrong, f"hosts: {wrong}")
    check(status["tasks"]["done"] == status["tasks"]["accepted"] == len(results),
          f"{status['tasks']}")


def test_daemons(kit, web, urls, inputs):
    broker = kit.broker(gap=f"{GAP_MS}ms")
    workers = [kit.worker(name=f"worker-{number}") for number in range(WORKERS)]
    output = kit.directory / "collected.jsonl"
    collector = kit.collector(output)
    wait_for(lambda: kit.status()["workers"] == WORKERS, "the workers to join")
    feeder = kit.feeder(inputs)
    feeder.expect_exit(0)
    status = kit.wait_settled()
    wait_for(lambda: len(read_results(output)) >= len(urls), "all results in the output")
    results = read_results(output)
    check_output(results, urls, web)
    check_ledger(status)
    check_sums(status, results)
    busy = {result["worker"] for result in results}
    check(busy == {f"worker-{number}" for number in range(WORKERS)}, f"only {busy} worked")
    collector.expect_stop((0, INTERRUPTED))
    for process in (*workers, broker):
        process.expect_stop()
    say(f"daemons: {len(results)} results, sums equal to a recount")


def check_nothing_runs(session):
    """What has ended and waits for init to take note is nobody's process any more."""
    listed = subprocess.run(["ps", "-o", "stat=,args=", "-s", str(session)], capture_output=True,
                            text=True, check=False).stdout.splitlines()
    left = [line for line in listed if not line.startswith("Z")]
    check(not left, f"processes are left: {left}")


def test_run(kit, web, urls, inputs):
    output = kit.directory / "run.jsonl"
    process = kit.start("run", [kit.bin / "thresh", "run", inputs, f"--gap={GAP_MS}ms",
                                f"--workers={WORKERS}", "--children=1", "--allow-private",
                                f"--output={output}"])
    process.expect_exit(0, 120)
    check_nothing_runs(process.pid)
    results = read_results(output)
    check_output(results, urls, web)
    summary = process.errors()
    head = re.search(r"(\d+) results .*in ", summary)
    check(head and int(head.group(1)) == len(urls), f"no such head: {summary}")
    sums = recount(results)
    for name in ("outcome", "http_status"):
        for value, count in sums[name].items():
            check(re.search(rf"\b{value}\b\D*\b{count}\b|\b{count}\b\D*\b{value}\b", summary),
                  f"{count} {value} is not in the summary: {summary}")
    say(f"thresh run: {len(results)} results; {summary.strip().splitlines()[0]}")


def main():
    dice = seeded_dice()
    with Kit(is_tcp=True) as kit:
        if not (kit.has("thresh") and kit.has("thresh-worker")):
            skip("thresh and thresh-worker are not built")
        web, urls, inputs = make_pages(kit, dice)
        test_daemons(kit, web, urls, inputs)
        count = check_gaps(web, urls, 0)
        test_run(kit, web, urls, inputs)
        check_gaps(web, urls, count)


if __name__ == "__main__":
    main()
