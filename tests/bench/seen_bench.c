/*
 * seen_bench: inserts and look-ups a second of the seen-set, with the fingerprint prefetched 16
 * ahead as a caller with a batch does, the longest single insert, and bytes a member.
 *
 *   seen_bench MEMBERS
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/seen.h"

#define AHEAD 16
#define LOOKUPS 1000000u

static double
now_s(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct fingerprint
print_of(uint64_t number)
{
    number += 0x9e3779b97f4a7c15u;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
    return (struct fingerprint){.high = number ^ (number >> 31)};
}

static double
insert(struct seen *seen, uint64_t members)
{
    double start = now_s();

    for (uint64_t i = 0; i < members; i++) {
        bool is_new;

        seen_prefetch(seen, print_of(i + AHEAD));
        if (seen_add(seen, print_of(i), &is_new) != OK) {
            exit(1);
        }
    }
    return now_s() - start;
}

/* Again, with a clock around every insert. */
static double
longest_insert(uint64_t members)
{
    struct seen *seen = seen_create(members);
    double longest = 0;
    double last = now_s();

    for (uint64_t i = 0; i < members; i++) {
        bool is_new;
        double now;

        if (seen_add(seen, print_of(i), &is_new) != OK) {
            exit(1);
        }
        now = now_s();
        longest = now - last > longest ? now - last : longest;
        last = now;
    }
    seen_destroy(seen);
    return longest;
}

int
main(int argc, char **argv)
{
    uint64_t members = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
    struct seen *seen = members > 0 ? seen_create(members) : NULL;
    uint64_t hits = 0;
    double insert_s;
    double look_s;

    if (seen == NULL) {
        fprintf(stderr, "usage: seen_bench MEMBERS\n");
        return 2;
    }
    insert_s = insert(seen, members);
    look_s = now_s();
    for (uint64_t i = 0; i < LOOKUPS; i++) {
        hits += seen_has(seen, print_of(i % 2 ? i * 7919 % members : i + members * 2));
    }
    look_s = now_s() - look_s;
    printf("seen_bench members=%lu inserts_per_s=%.0f lookups_per_s=%.0f bytes_per_member=%.2f "
           "longest_insert_ms=%.2f hits=%lu\n",
           members, (double)members / insert_s, LOOKUPS / look_s,
           (double)seen_bytes(seen) / (double)members, longest_insert(members) * 1e3, hits);
    seen_destroy(seen);
    return 0;
}
