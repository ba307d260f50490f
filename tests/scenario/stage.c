#include "tests/scenario/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_BYTES_MAX ((size_t)1 << 30)

struct core_options
stage_options(void)
{
    return (struct core_options){
        .name = "stage",
        .gap_ms = 1000,
        .host_connections = 8,
        .lease_ms = 60000,
        .heartbeat_ms = 5000,
        .takeover_ms = 10000,
        .attempts_max = 5,
        .backoff_ms = 2000,
        .backoff_max_ms = 3600000,
        .tasks_max = 100000,
        .results_max = 100000,
        .results_keep_ms = INT64_C(7) * 86400000,
        .batch_max = 1024,
        .message_bytes_max = (size_t)64 << 20,
        .body_bytes_max = (size_t)16 << 20,
        .seed = 1,
    };
}

/* The harness itself cannot go on: its own memory store failed, or the core broke its contract. */
static void
stop(const char *what, enum error error)
{
    fprintf(stderr, "stage: %s: %s\n", what, error_text(error));
    abort();
}

enum error
stage_init(struct stage *stage, const struct core_options *options, struct core_port port,
           struct core_time time)
{
    const struct store_options store_options = {0};
    *stage = (struct stage){.options = *options, .port = port, .time = time};
    return store_open_memory(&store_options, &stage->disk, NULL);
}

void
stage_release(struct stage *stage)
{
    stage_crash(stage);
    if (stage->disk)
        store_close(stage->disk);
    stage->disk = NULL;
}

struct copy {
    struct store_batch *batch;
    enum store_table table;
};

static bool
copy_row(void *context, const struct store_entry *entry)
{
    struct copy *copy = context;
    if (store_table_is_number(copy->table))
        store_batch_put(copy->batch, copy->table, entry->number, entry->value);
    else
        store_batch_put_bytes(copy->batch, copy->table, entry->key, entry->value);
    return true;
}

static enum error
copy_disk(struct stage *stage)
{
    struct copy copy = {.batch = store_batch_create(COPY_BYTES_MAX)};
    enum error error = copy.batch ? OK : ERROR_NO_MEMORY;
    for (unsigned i = 0; i < STORE_TABLE_COUNT && !error; i++) {
        copy.table = (enum store_table)i;
        error = store_scan(stage->disk, copy.table, 0, copy_row, &copy);
    }
    if (!error)
        error = store_batch_error(copy.batch);
    if (!error)
        error = store_commit(stage->visible, copy.batch);
    store_batch_destroy(copy.batch);
    return error;
}

enum error
stage_start(struct stage *stage, char **ret_message)
{
    const struct store_options store_options = {0};
    enum error error = store_open_memory(&store_options, &stage->visible, NULL);
    if (!error)
        error = copy_disk(stage);
    if (error)
        stop("copying the disk", error);
    /* Each start throws other dice, as the broker does. */
    stage->options.seed = stage->options.seed * 6364136223846793005ULL + 1442695040888963407ULL;
    error = core_create(&stage->options, stage->visible, stage->port, stage->time, &stage->core,
                        ret_message);
    if (error) {
        store_close(stage->visible);
        stage->visible = NULL;
    }
    return error;
}

void
stage_crash(struct stage *stage)
{
    core_destroy(stage->core);
    stage->core = NULL;
    if (stage->visible)
        store_close(stage->visible);
    stage->visible = NULL;
    stage->batch_count = 0;
}

bool
stage_seal(struct stage *stage)
{
    if (!stage->core || stage->batch_count == STAGE_PIPELINE)
        return false;
    uint64_t number = 0;
    const struct store_batch *rows = core_seal(stage->core, stage->time, &number);
    if (!rows)
        return false;
    stage->batches[stage->batch_count++] = (struct stage_batch){.rows = rows, .number = number};
    return true;
}

static void
commit(struct store *store, const struct stage_batch *batch)
{
    enum error error = store_batch_error(batch->rows);
    if (!error)
        error = store_commit(store, batch->rows);
    if (error)
        stop("committing a batch", error);
}

bool
stage_apply(struct stage *stage)
{
    for (size_t i = 0; i < stage->batch_count; i++) {
        struct stage_batch *batch = &stage->batches[i];
        if (batch->is_applied)
            continue;
        commit(stage->visible, batch);
        batch->is_applied = true;
        return true;
    }
    return false;
}

bool
stage_flush(struct stage *stage)
{
    for (size_t i = 0; i < stage->batch_count; i++) {
        struct stage_batch *batch = &stage->batches[i];
        if (batch->is_flushed)
            continue;
        if (!batch->is_applied)
            return false;
        commit(stage->disk, batch);
        batch->is_flushed = true;
        return true;
    }
    return false;
}

bool
stage_tell(struct stage *stage)
{
    if (stage->batch_count == 0 || !stage->batches[0].is_flushed)
        return false;
    uint64_t number = stage->batches[0].number;
    stage->batch_count--;
    memmove(&stage->batches[0], &stage->batches[1], stage->batch_count * sizeof stage->batches[0]);
    core_durable(stage->core, stage->time, number);
    return true;
}

void
stage_settle(struct stage *stage)
{
    while (stage_seal(stage) || stage_apply(stage) || stage_flush(stage) || stage_tell(stage))
        continue;
}

void
stage_damage(struct stage *stage, enum store_table table, uint64_t key)
{
    static const uint8_t nonsense[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct store_batch *batch = store_batch_create(COPY_BYTES_MAX);
    if (!batch)
        stop("damaging a row", ERROR_NO_MEMORY);
    store_batch_put(batch, table, key, slice_of(nonsense, sizeof nonsense));
    const struct stage_batch own = {.rows = batch};
    commit(stage->disk, &own);
    if (stage->visible)
        commit(stage->visible, &own);
    store_batch_destroy(batch);
}
