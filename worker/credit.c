#include "worker/credit.h"

#define STEPS 8
#define STEPS_FREE (STEPS / 2) /* below half nothing is held back */

size_t
credit_of(size_t leases_max, const struct credit_gauge *gauges, size_t gauge_count)
{
    size_t fullest = 0;

    for (size_t i = 0; i < gauge_count; i++) {
        /* Limits are far below SIZE_MAX / STEPS: bytes of one machine, documents of one process. */
        size_t step = gauges[i].limit == 0 ? STEPS : gauges[i].used * STEPS / gauges[i].limit;
        fullest = step > fullest ? step : fullest;
    }
    if (fullest < STEPS_FREE) {
        return leases_max;
    }
    if (fullest >= STEPS) {
        return 0;
    }
    size_t credit = leases_max * (STEPS - fullest) / (STEPS - STEPS_FREE);
    return credit > 0 ? credit : 1;
}
