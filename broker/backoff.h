/*
 * backoff: how long to wait before the next try, and the broker's dice.
 *
 * Doubling from base to max with "equal jitter": half of the step is certain, half is drawn, so
 * that a crowd which failed together does not come back together.
 *
 * Threads  pure functions; the dice belong to their owner.
 * Source   Exponential Backoff And Jitter, AWS Architecture Blog, 2015; SplitMix64 (Vigna).
 */
#ifndef THRESH_BROKER_BACKOFF_H
#define THRESH_BROKER_BACKOFF_H

#include <stdint.h>

/* A seeded source of numbers: the same seed gives the same run. */
struct dice {
    uint64_t state;
};

uint64_t dice_next(struct dice *dice);
/* 0 to limit - 1; limit > 0. */
uint64_t dice_below(struct dice *dice, uint64_t limit);

/* The wait before try number failures + 1, in ms; failures >= 1. */
int64_t backoff_ms(unsigned failures, int64_t base_ms, int64_t max_ms, struct dice *dice);

#endif
