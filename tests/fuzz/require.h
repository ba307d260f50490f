/* require: what must hold for every input; libFuzzer keeps the one for which it does not. */
#ifndef THRESH_TESTS_FUZZ_REQUIRE_H
#define THRESH_TESTS_FUZZ_REQUIRE_H

#include <stdbool.h>
#include <stdlib.h>

static inline void
require(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

#endif
