#include "broker/backoff.h"

#include <assert.h>

uint64_t
dice_next(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

uint64_t
dice_below(struct dice *dice, uint64_t limit)
{
    assert(limit > 0);
    return (uint64_t)(((unsigned __int128)dice_next(dice) * limit) >> 64);
}

int64_t
backoff_ms(unsigned failures, int64_t base_ms, int64_t max_ms, struct dice *dice)
{
    assert(failures >= 1 && base_ms >= 0 && max_ms >= base_ms);
    int64_t step_ms = base_ms;
    for (unsigned i = 1; i < failures && step_ms < max_ms; i++)
        step_ms = step_ms > max_ms / 2 ? max_ms : step_ms * 2;
    if (step_ms < 2)
        return step_ms;
    return step_ms / 2 + (int64_t)dice_below(dice, (uint64_t)(step_ms - step_ms / 2 + 1));
}
