#!/usr/bin/env python3
"""Writes html_entities_table.h and html_tags_table.h into this folder.

The named character references come from Python's html.entities, which follows the HTML Standard;
the slots of the element table come from html_tags.def. Run it after a change there.
"""
import html.entities
import os
import random
import re

HERE = os.path.dirname(os.path.abspath(__file__))
SLOT_BITS = 10


def entities():
    names = sorted({name.rstrip(";") for name in html.entities.html5}, key=lambda n: n.encode())
    blob, rows = "", []
    for name in names:
        value = html.entities.html5.get(name + ";") or html.entities.html5[name]
        code = [ord(c) for c in value] + [0]
        rows.append((len(blob), len(name), int(name in html.entities.html5), code[0], code[1]))
        blob += name
    with open(os.path.join(HERE, "html_entities_table.h"), "w") as out:
        out.write("/* Written by html_tables.py from the HTML Standard's list; do not edit. */\n")
        out.write("static const char entity_names[] =\n")
        for i in range(0, len(blob), 88):
            out.write(f'    "{blob[i:i + 88]}"\n')
        out.write("    ;\n\n/* name: offset, size; legacy: known without its semicolon too; code points */\n")
        out.write("static const struct entity entities[] = {\n")
        line = "   "
        for row in rows:
            item = " {%d, %d, %d, 0x%x, 0x%x}," % row
            if len(line) + len(item) > 99:
                out.write(line + "\n")
                line = "   "
            line += item
        out.write(line + "\n};\n")


def tag_key(name):
    head = name[:8].encode()
    return int.from_bytes(head, "little") ^ (len(name) << 56)


def tags():
    with open(os.path.join(HERE, "html_tags.def")) as source:
        names = re.findall(r'^TAG\((\w+), "([^"]+)"', source.read(), re.M)
    chooser = random.Random(1)
    while True:
        factor = chooser.getrandbits(64) | 1
        slots = {}
        for upper, name in names:
            slot = ((tag_key(name) * factor) & (2**64 - 1)) >> (64 - SLOT_BITS)
            if slots.setdefault(slot, upper) != upper:
                break
        else:
            break
    with open(os.path.join(HERE, "html_tags_table.h"), "w") as out:
        out.write("/* Written by html_tables.py: a multiplier that gives every element a slot of its own. */\n")
        out.write(f"#define TAG_FACTOR 0x{factor:016x}u\n#define TAG_SLOT_BITS {SLOT_BITS}\n\n")
        out.write("static const uint8_t tag_slots[1 << TAG_SLOT_BITS] = {\n")
        for slot in sorted(slots):
            out.write(f"    [{slot}] = HTML_TAG_{slots[slot]},\n")
        out.write("};\n")


entities()
tags()
