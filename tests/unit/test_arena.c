#include "common/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#define OBJECTS 1000

Test(arena, objects_are_zeroed_aligned_and_apart)
{
    struct arena arena;
    uint8_t *objects[OBJECTS];

    arena_init(&arena, 64 * 1024 * 1024);
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t size = i * 7 % 3000;

        objects[i] = arena_alloc(&arena, size);
        cr_assert_not_null(objects[i]);
        cr_assert_eq((uintptr_t)objects[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++) {
            cr_assert_eq(objects[i][k], 0);
        }
        memset(objects[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        for (size_t k = 0; k < i * 7 % 3000; k++) {
            cr_assert_eq(objects[i][k], (uint8_t)i);
        }
    }
    arena_release(&arena);
}

Test(arena, memory_used_again_after_clear_is_zeroed)
{
    struct arena arena;

    arena_init(&arena, 1024 * 1024);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            uint8_t *object = arena_alloc(&arena, 1000);

            cr_assert_not_null(object);
            for (size_t k = 0; k < 1000; k++) {
                cr_assert_eq(object[k], 0);
            }
            memset(object, 0xee, 1000);
        }
        arena_clear(&arena);
        cr_assert_eq(arena.used, 0);
    }
    arena_release(&arena);
}

Test(arena, the_ceiling_holds_and_clear_gives_the_room_back)
{
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, 100000);
    while (arena_alloc(&arena, 1000) != NULL) {
        count++;
    }
    cr_assert_geq(count, 95);
    cr_assert_leq(count, 100);
    cr_assert_leq(arena.used, 100000);
    cr_assert_null(arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(arena_alloc(&arena, 100001));
    arena_clear(&arena);
    cr_assert_not_null(arena_alloc(&arena, 90000), "larger than a chunk");
    arena_release(&arena);
}

Test(arena, empty_objects_have_addresses_of_their_own)
{
    struct arena arena;
    const void *first;
    const void *second;

    arena_init(&arena, 1000);
    first = arena_alloc(&arena, 0);
    second = arena_alloc(&arena, 0);
    cr_assert_not_null(first);
    cr_assert_not_null(second);
    cr_assert_neq(first, second);
    arena_release(&arena);
}

Test(arena, copies_end_with_a_nul)
{
    struct arena arena;
    const char *copy;

    arena_init(&arena, 1000);
    copy = arena_copy(&arena, "abcdef", 3);
    cr_assert_str_eq(copy, "abc");
    cr_assert_str_eq(arena_copy(&arena, NULL, 0), "");
    cr_assert_null(arena_copy(&arena, "x", SIZE_MAX));
    cr_assert_null(arena_copy(&arena, "x", 1000));
    arena_release(&arena);
}

Test(arena, an_object_over_a_chunk_is_not_kept_by_clear)
{
    struct arena arena;

    arena_init(&arena, 64 * 1024 * 1024);
    cr_assert_not_null(arena_alloc(&arena, 100));
    cr_assert_not_null(arena_alloc(&arena, 32 * 1024 * 1024));
    arena_clear(&arena);
    cr_assert_not_null(arena_alloc(&arena, 100));
    arena_release(&arena);
    arena_release(&arena);
    cr_assert_null(arena.chunks);
}
