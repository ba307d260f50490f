#!/usr/bin/env python3
"""Writes language_words_table.h into this folder: who uses each word and letter of language_words.c,
found by the hashes that language.c counts. Run it after a change there.
"""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
START, PRIME = 0xCBF29CE484222325, 0x100000001B3


def key(word):
    value = START
    for letter in word:
        value = (value ^ ord(letter)) * PRIME & (2**64 - 1)
    return value | 1


def rows():
    with open(os.path.join(HERE, "language_words.c"), encoding="utf-8") as source:
        text = source.read()
    for row in re.findall(r'\{"(\w+)", SCRIPT_\w+,((?:\s*"[^"]*")+),((?:\s*"[^"]*")+)\}', text):
        letters, words = ("".join(re.findall(r'"([^"]*)"', part)) for part in row[1:])
        yield letters, words.split()


def write(out, name, users, slot_bits):
    entries = sorted(users.items())
    slots = [0] * (1 << slot_bits)
    for place, (value, _) in enumerate(entries):
        slot = value >> 32 & len(slots) - 1
        while slots[slot]:
            slot = slot + 1 & len(slots) - 1
        slots[slot] = place + 1
    out.write(f"\n#define {name.upper()}_SLOT_BITS {slot_bits}\n\n")
    out.write(f"static const struct user_row {name}_rows[] = {{\n")
    for place, (value, mask) in enumerate(entries):
        out.write(("    " if place % 2 == 0 else " ") + f"{{0x{value:016x}, 0x{mask:x}}},")
        out.write("\n" if place % 2 == 1 or place + 1 == len(entries) else "")
    out.write(f"}};\n\nstatic const uint16_t {name}_slots[1 << {name.upper()}_SLOT_BITS] = {{")
    for place, row in enumerate(slots):
        out.write(("\n    " if place % 18 == 0 else " ") + f"{row},")
    out.write("\n};\n")


words, letters = {}, {}
for bit, (own_letters, own_words) in enumerate(rows()):
    for word in own_words:
        words[key(word)] = words.get(key(word), 0) | 1 << bit
    for letter in own_letters:
        letters[key(letter)] = letters.get(key(letter), 0) | 1 << bit
with open(os.path.join(HERE, "language_words_table.h"), "w") as table:
    table.write("/* Written by language_tables.py from language_words.c; do not edit. */\n")
    table.write("/* clang-format off */\n")
    write(table, "word", words, 12)
    write(table, "letter", letters, 9)
print(len(words), "words,", len(letters), "letters")
