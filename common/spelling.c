#include "common/spelling.h"

#include <stdint.h>
#include <string.h>

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t
spelling_distance(const char *a, const char *b)
{
    size_t lines[3][SPELLING_WORD_BYTES_MAX + 1];
    size_t *before = lines[0];
    size_t *above = lines[1];
    size_t *line = lines[2];
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    if (a_length > SPELLING_WORD_BYTES_MAX || b_length > SPELLING_WORD_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_length; j++) {
        before[j] = 0;
        line[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t *oldest = before;
        before = above;
        above = line;
        line = oldest;
        line[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);
            line[j] = least(change, least(above[j], line[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                line[j] = least(line[j], before[j - 2] + 1);
            }
        }
    }
    return line[b_length];
}

size_t
spelling_slips_max(const char *word)
{
    size_t length = strlen(word);
    return length < 4 ? 1 : length < 8 ? 2 : 3;
}
