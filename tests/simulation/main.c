/*
 * simulation [--seed N] [--count N] [--plant NAME] [--expect-found] [--twice] [--verbose]
 *
 * Runs count worlds from seed on. Exit 0: all as they should be. --plant: with a bug on purpose;
 * --expect-found: then at least one world must fail. --twice: every world a second time, which must
 * be the same run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/world.h"

struct arguments {
    uint64_t seed;
    uint64_t count;
    enum sim_plant plant;
    bool is_found_expected;
    bool is_twice;
    bool is_verbose;
};

static bool
read_number(const char *text, uint64_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end != '\0' || errno != 0)
        return false;
    *ret_number = number;
    return true;
}

static bool
read_plant(const char *text, enum sim_plant *ret_plant)
{
    for (unsigned i = 0; text && i < SIM_PLANT_COUNT; i++) {
        if (strcmp(text, sim_plant_name((enum sim_plant)i)) == 0) {
            *ret_plant = (enum sim_plant)i;
            return true;
        }
    }
    return false;
}

static bool
read_arguments(char **argv, struct arguments *arguments)
{
    for (char **at = argv + 1; *at; at++) {
        if (strcmp(*at, "--seed") == 0) {
            if (!read_number(*++at, &arguments->seed))
                return false;
        } else if (strcmp(*at, "--count") == 0) {
            if (!read_number(*++at, &arguments->count))
                return false;
        } else if (strcmp(*at, "--plant") == 0) {
            if (!read_plant(*++at, &arguments->plant))
                return false;
        } else if (strcmp(*at, "--expect-found") == 0) {
            arguments->is_found_expected = true;
        } else if (strcmp(*at, "--twice") == 0) {
            arguments->is_twice = true;
        } else if (strcmp(*at, "--verbose") == 0) {
            arguments->is_verbose = true;
        } else {
            return false;
        }
    }
    return true;
}

/* One world; *ret_hash tells its run from any other. */
static bool
run(struct world *world, const struct arguments *arguments, uint64_t seed, uint64_t *ret_hash)
{
    world_init(world, seed, arguments->plant, arguments->is_verbose);
    world_run(world);
    *ret_hash = world->hash;
    bool is_good = !world->is_failed;
    if (!is_good && !arguments->is_found_expected)
        fprintf(stderr,
                "seed %llu failed at %lld ms: %s\n"
                "replay: simulation --seed %llu --count 1 --plant %s --verbose\n",
                (unsigned long long)seed, (long long)world->now_ms, world->failure,
                (unsigned long long)seed, sim_plant_name(arguments->plant));
    if (arguments->count == 1)
        printf("seed %llu: %llu events, %zu items, %u boots, %lld ms, hash %016llx\n",
               (unsigned long long)seed, (unsigned long long)world->events, world->item_count,
               world->boots, (long long)world->now_ms, (unsigned long long)world->hash);
    world_release(world);
    return is_good;
}

int
main(int argc, char **argv)
{
    struct arguments arguments = {.seed = 1, .count = 1000};
    struct world *world = malloc(sizeof *world);
    uint64_t failed = 0;
    uint64_t changed = 0;
    uint64_t all = 0;
    (void)argc;
    if (!world || !read_arguments(argv, &arguments)) {
        fprintf(stderr, "usage: simulation [--seed N] [--count N] [--plant NAME] [--expect-found] "
                        "[--twice] [--verbose]\n");
        free(world);
        return 2;
    }
    for (uint64_t i = 0; i < arguments.count; i++) {
        uint64_t hash = 0;
        uint64_t again = 0;
        failed += !run(world, &arguments, arguments.seed + i, &hash);
        all = all * 31 + hash;
        if (!arguments.is_twice)
            continue;
        failed += !run(world, &arguments, arguments.seed + i, &again);
        if (hash != again)
            fprintf(stderr, "seed %llu: two runs differ\n",
                    (unsigned long long)(arguments.seed + i));
        changed += hash != again;
    }
    printf("%llu worlds from seed %llu: %llu failed, hash %016llx\n",
           (unsigned long long)arguments.count, (unsigned long long)arguments.seed,
           (unsigned long long)failed, (unsigned long long)all);
    free(world);
    if (changed > 0)
        return 1;
    return (failed > 0) == arguments.is_found_expected ? 0 : 1;
}
