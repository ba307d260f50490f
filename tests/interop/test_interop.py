#!/usr/bin/python3
"""The example client against the real broker, as a person would run it: feed, work, collect."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "process"))
from harness import Kit, check, check_ledger, client, say, wait_for  # noqa: E402

SCRIPT = pathlib.Path(__file__).resolve().parent / "client.py"


def run(kit, role, *arguments):
    return kit.start(role, ["/usr/bin/python3", SCRIPT, role, kit.endpoints[role], *arguments])


def test_commands(kit, broker):
    feeder = run(kit, "feed", "one=A first text.", "two=Zwei Töne.", "one=A first text.")
    feeder.expect_exit(0)
    check(feeder.output() == "accepted accepted known\n", feeder.output())
    run(kit, "work")
    collector = run(kit, "collect", "example")
    wait_for(lambda: collector.output().count("\n") >= 2, "two results")
    results = [json.loads(line) for line in collector.output().splitlines()]
    texts = {result["url"]: result["text"] for result in results}
    check(texts == {"name:one": "A first text.", "name:two": "Zwei Töne."}, f"{results}")
    kit.wait_settled()
    broker.kill()
    kit.broker(gap="0", heartbeat="200ms", takeover="0")
    run(kit, "feed", "three=After a restart.").expect_exit(0)
    wait_for(lambda: collector.output().count("\n") >= 3, "a result after the broker's restart")
    status = kit.wait_settled()
    check_ledger(status)
    check(status["totals"]["outcome"] == {"ok": 3}, f"{status['totals']}")


def test_page(kit):
    """What PROTOCOL.md says of statuses, reasons, refusals and repeated messages."""
    feeder = client.Peer(kit.endpoints["feed"], "feed")
    items = [({"url": "http://Example.COM:80/a/../b#c", "not_before_at": int(time.time() * 1000) + 86400000}, None),
             ({"url": "http://example.com/b"}, None), ({"url": "not a url"}, None),
             ({"url": "name:m", "meta": {"a": [1, None]}, "key": "k"}, b"x"),
             ({"url": "name:n", "key": "k"}, b"y"), ({"url": "name:o", "priority": 10}, b"z")]
    check(client.feed(feeder, items) == [0, 1, 2, 0, 1, 2], "statuses")

    number = feeder.send_numbered(client.SUBMIT, {}, [{"url": "ftp://example.com/"}])
    frames = feeder.unanswered[number]
    while number in feeder.unanswered:
        first = feeder.receive(1)
    check(list(first[2]["reasons"]) == ["0"], f"{first}")
    feeder.socket.send_multipart(frames)
    again = feeder.receive(10)
    check(again[:3] == first[:3], f"a copy got another answer: {again}")

    stranger = client.Peer(kit.endpoints["work"], "work")
    stranger.send(client.CREDIT, {"credit": 1})
    check(stranger.socket.poll(10000), "no answer to CREDIT before HELLO")
    refusal = client.msgpack.unpackb(stranger.socket.recv())
    check(refusal[1] == client.REFUSED and refusal[3]["code"] == "hello_first", f"{refusal}")
    wrong = client.Peer(kit.endpoints["work"], "feed")
    kind, _, fields, _, _ = wrong.receive(10)
    check(kind == client.REFUSED and fields["code"] == "wrong_role", f"{fields}")


def main():
    with Kit() as kit:
        test_commands(kit, kit.broker(gap="0", heartbeat="200ms", takeover="0"))
        test_page(kit)
        say("the client does what the page says")


if __name__ == "__main__":
    main()
