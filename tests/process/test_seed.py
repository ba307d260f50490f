#!/usr/bin/python3
"""The seed article through `thresh run`: its page from a real web server, its text as a document."""
import html.parser
import json
import pathlib
import re
import urllib.parse

from harness import Kit, Web, check, check_once, read_results, say, skip

DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "seed"
RESIDUE = re.compile(r"(Image|Video) (source|caption|annotated with text|copyright)\b.{0,40}")


class Anchors(html.parser.HTMLParser):
    """Every link of a page with the text between its tags."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.is_open = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "a" and dict(attributes).get("href", "#")[0] != "#":
            self.found.append([dict(attributes)["href"], ""])
            self.is_open = True

    def handle_endtag(self, tag):
        self.is_open = self.is_open and tag != "a"

    def handle_data(self, text):
        if self.is_open:
            self.found[-1][1] += text


def check_page(result, expected, source, url):
    check(result["text"].split("\n\n") == expected["paragraphs"], "the page's paragraphs differ")
    check(result["title"] == expected["title"], result["title"])
    check(result["published"] == "2021-10-11T05:32:01Z", result["published"])
    check(result["language"] == "en" and result["http_status"] == 200, f"{result['language']}")
    check(result["canonical"] == "https://news.example/world-asia-58838834", result["canonical"])
    check(result["site_name"] == "Example News", result["site_name"])
    # Compared without spaces: where a tag divides the words, Anchors has none.
    anchors = [(urllib.parse.urljoin(url, href), "".join(text.split()))
               for href, text in Anchors(source).found]
    links = [(link["url"], "".join(link["text"].split())) for link in result["links"]]
    missing = [anchor for anchor in anchors if anchor[0].startswith("http") and anchor not in links]
    check(anchors and not missing, f"outlinks that are not there: {missing[:3]}; {links[:3]}")


def check_document(result, expected):
    lines = result["text"].split("\n\n")
    check(result["title"] == expected["title"], result["title"])
    left = iter(lines)
    missing = [paragraph for paragraph in expected["paragraphs"]
               if not any(line == paragraph for line in left)]
    check(not missing, f"not there, or out of order: {missing[:3]}")
    residue = [line for line in lines if RESIDUE.fullmatch(line)]
    check(not residue, f"credits and labels are left: {residue}")


def main():
    if not DATA.is_dir():
        skip("no seed data beside the project")
    with Kit() as kit:
        if not kit.has("thresh"):
            skip("thresh is not built")
        expected = json.loads((DATA / "defector.expected.json").read_text())
        source = (DATA / "defector.html").read_text()
        web = Web(kit, ["127.0.4.1"])
        url = web.put("127.0.4.1", "defector.html", source.encode())
        output = kit.directory / "seed.jsonl"
        kit.start("run", [kit.bin / "thresh", "run", url, DATA / "defector.txt", "--allow-private",
                          f"--output={output}"]).expect_exit(0)
        by_url = check_once(read_results(output))
        check(len(by_url) == 2 and url in by_url, f"{sorted(by_url)}")
        check_page(by_url[url], expected, source, url)
        check_document(by_url[f"file://{(DATA / 'defector.txt').resolve()}"], expected)
        say(f"{len(expected['paragraphs'])} paragraphs of the page exactly, and all in the document")


if __name__ == "__main__":
    main()
