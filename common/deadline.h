/* deadline: points in time in milliseconds, of which the earliest is waited for. */
#ifndef THRESH_COMMON_DEADLINE_H
#define THRESH_COMMON_DEADLINE_H

#include <stdint.h>

static inline int64_t
deadline_earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

#endif
