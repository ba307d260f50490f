#include "common/spelling.h"

#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

Test(spelling, the_distance_is_the_least_number_of_slips)
{
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},           {"", "abc", 3},           {"status", "status", 0},
        {"gpa", "gap", 1},     {"hlep", "help", 1},      {"statu", "status", 1},
        {"pruge", "purge", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(spelling_distance(cases[i].a, cases[i].b), cases[i].distance, "%s, %s",
                     cases[i].a, cases[i].b);
        cr_expect_eq(spelling_distance(cases[i].b, cases[i].a), cases[i].distance, "%s, %s",
                     cases[i].b, cases[i].a);
    }
}

Test(spelling, a_word_of_the_longest_is_measured_and_one_longer_is_far_away)
{
    char word[SPELLING_WORD_BYTES_MAX + 2];
    memset(word, 'x', sizeof word);
    word[SPELLING_WORD_BYTES_MAX + 1] = '\0';
    cr_expect_eq(spelling_distance(word, "x"), SIZE_MAX);
    cr_expect_eq(spelling_distance("x", word), SIZE_MAX);
    word[SPELLING_WORD_BYTES_MAX] = '\0';
    cr_expect_eq(spelling_distance(word, "x"), SPELLING_WORD_BYTES_MAX - 1);
    cr_expect_eq(spelling_distance(word, word), 0);
}
