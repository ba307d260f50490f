#!/usr/bin/python3
"""Programs that come and go in any order: all 24 start orders, a worker that sleeps through ten
leases (F14), and a collector whose successor comes while the broker still remembers it."""
import itertools
import signal
import time

from harness import (FAST, Kit, Web, check, check_ledger, check_once, client, free_ports, page,
                     read_results, say, seeded_dice, wait_for, ROLES)

LEASE_S = 1
FAST = {name.replace("-", "_"): value for name, value in FAST.items()}


def is_real(kit):
    return kit.has("thresh-worker") and kit.has("thresh")


def start_role(kit, folder, role, inputs):
    if role == "broker":
        return kit.broker(store=folder / "store", **FAST)
    if role == "worker":
        process = (kit.worker() if is_real(kit) else
                   kit.python("worker", "work", kit.endpoints["work"], "worker", "0"))
    elif role == "feeder":
        process = (kit.feeder(inputs) if is_real(kit) else
                   kit.python("feeder", "feed", kit.endpoints["feed"], folder / "journal", inputs))
    else:
        output = folder / "results.jsonl"
        process = (kit.collector(output) if is_real(kit) else
                   kit.python("collector", "collect", kit.endpoints["collect"], "default", output))
    process.wait_waiting()
    return process


def try_order(kit, number, order, pages):
    """Starts the four; each next one when the last waits for whom it needs."""
    folder = kit.directory / f"order-{number}"
    folder.mkdir()
    kit.endpoints = dict(zip(ROLES, [f"tcp://127.0.0.1:{port}" for port in free_ports(4)]))
    kit.control = None
    inputs = folder / "items.jsonl"
    inputs.write_text("".join(f'{{"url": "{url}"}}\n' for url in pages) +
                      '{"url": "name:one", "content_type": "text/plain", "body": "One text."}\n'
                      '{"url": "name:two", "content_type": "text/plain", "body": "Two texts."}\n')
    expected = {*pages, "name:one", "name:two"}
    processes = {role: start_role(kit, folder, role, inputs) for role in order}
    processes["feeder"].expect_exit(0)
    output = folder / "results.jsonl"
    wait_for(lambda: len(read_results(output)) >= len(expected), f"results of {' '.join(order)}")
    status = kit.wait_settled()
    by_url = check_once(read_results(output))
    check(by_url.keys() == expected, f"{' '.join(order)}: {sorted(by_url)}")
    check_ledger(status)
    check(status["tasks"]["done"] == len(expected), f"{status['tasks']}")
    for process in processes.values():
        process.kill()
    kit.processes.clear()


def test_start_orders():
    dice = seeded_dice()
    roles = ("broker", "worker", "feeder", "collector")
    with Kit() as kit:
        web = Web(kit, ["127.0.3.1", "127.0.3.2"])
        server = kit.processes[0]
        pages = [web.put(f"127.0.3.{i % 2 + 1}", f"{i}.html", page(f"Page {i}", dice))
                 for i in range(4)]
        for number, order in enumerate(itertools.permutations(roles)):
            try_order(kit, number, order, pages)
            kit.processes.append(server)
        say(f"{number + 1} start orders")


def test_stopped_worker():
    with Kit() as kit:
        kit.broker(**{**FAST, "lease": f"{LEASE_S}s"})
        output = kit.directory / "results.jsonl"
        kit.python("collector", "collect", kit.endpoints["collect"], "all", output)
        feeder = client.Peer(kit.endpoints["feed"], "feed")
        sleeper = kit.python("sleeper", "work", kit.endpoints["work"], "sleeper", "500")
        wait_for(lambda: kit.status()["workers"] == 1, "the first worker")
        client.feed(feeder, [({"url": "name:slow"}, b"A text that takes its time.")])
        wait_for(lambda: kit.status()["tasks"]["leased"] == 1, "its lease")
        sleeper.signal(signal.SIGSTOP)
        check(kit.status()["tasks"]["leased"] == 1, "the worker was done before it was stopped")
        stopped = time.monotonic()
        kit.python("other", "work", kit.endpoints["work"], "other", "0")
        wait_for(lambda: kit.status()["tasks"]["done"] == 1, "the other worker to do it")
        wait_for(lambda: time.monotonic() - stopped > 10 * LEASE_S, "ten leases to pass")
        sleeper.signal(signal.SIGCONT)
        status = wait_for(lambda: (now := kit.status())["counters"].get("results_late") and now,
                          "the late result to be counted")
        status = kit.wait_settled()
        check_ledger(status)
        check(status["tasks"]["done"] == 1 and status["results"]["newest"] == 1, f"{status}")
        check(status["counters"]["leases_expired"] == 1, f"{status['counters']}")
        results = check_once(wait_for(lambda: read_results(output), "the result"))
        check(results["name:slow"]["attempt"] == 2, f"{results}")
        say("a worker stopped for ten leases: one result, its own counted as late")


def test_successor():
    """A collector dies while results come; its successor keeps the name for good."""
    with Kit() as kit:
        kit.broker(**FAST)
        kit.python("worker", "work", kit.endpoints["work"], "worker", "0")
        feeder = client.Peer(kit.endpoints["feed"], "feed")

        def collector():
            return client.Peer(kit.endpoints["collect"], "collect",
                               (client.SUBSCRIBE, {"name": "all", "credit": 64}))

        def feed(first):
            client.feed(feeder, [({"url": f"name:{first + i}"}, b"text") for i in range(10)])

        got = {}
        feed(0)
        old = collector()
        wait_for(lambda: client.collect(old, got.update, 0.1) or len(got) == 10, "10 results")
        old.socket.close()
        feed(10)  # delivered to nobody: the broker notices that the old one is away
        wait_for(lambda: kit.status()["tasks"]["done"] == 20, "20 done")
        new = collector()
        wait_for(lambda: client.collect(new, got.update, 0.1) or len(got) == 20, "20 results")
        # Until the broker forgets the old one, which is silent for three beats.
        forgotten = time.monotonic() + 2 * 3 * 0.2
        wait_for(lambda: client.collect(new, got.update, 0.1) or time.monotonic() > forgotten, "")
        check(kit.status()["results"]["collectors"]["all"]["connected"], "the successor was dropped")
        feed(20)
        wait_for(lambda: client.collect(new, got.update, 0.1) or len(got) == 30, "30 results")
        say("a collector's successor keeps the name")


if __name__ == "__main__":
    test_successor()
    test_stopped_worker()
    test_start_orders()
