/* Dead letters: listed, taken up again, purged. */
#include <string.h>

#include "broker/core_control.h"
#include "broker/core_internal.h"

struct dead_filter {
    struct slice host;
    struct slice outcome;
    struct slice ids; /* an array of task ids; empty: all */
    uint64_t after;
    uint64_t limit;
    bool is_all;
};

struct dead_walk {
    struct request *request;
    struct dead_filter filter;
    struct buffer *list; /* dead: the entries; retry and purge: sequences, 8 bytes each */
    size_t count;
};

static bool
read_filter(struct request *request, struct dead_filter *ret_filter)
{
    static const char *const names[] = {"after", "limit", "host", "outcome", "ids", "all", NULL};
    struct slice fields[6];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, request->arguments);
    read_fields(&reader, names, fields);
    struct slice after = field_string(fields[0], &error);
    struct dead_filter filter = {
        .host = field_string(fields[2], &error),
        .outcome = field_string(fields[3], &error),
        .ids = fields[4],
        .limit = list_limit(fields[1]),
        .is_all = field_bool(fields[5], false, &error),
    };
    if (after.size > 0 && !task_id_parse(request->core->store_id, after, &filter.after))
        error = ERROR_INVALID;
    if (error)
        request->error = "arguments: after (task id), limit, host, outcome, ids (array), all";
    *ret_filter = filter;
    return !error;
}

static bool
is_named(const struct core *core, struct slice ids, uint64_t sequence)
{
    struct reader reader;
    reader_init(&reader, ids);
    for (size_t count = read_array(&reader); count > 0 && !reader.error; count--) {
        uint64_t named = 0;
        if (task_id_parse(core->store_id, read_string(&reader), &named) && named == sequence)
            return true;
    }
    return false;
}

static bool
matches(const struct dead_walk *walk, uint64_t sequence, const struct dead_record *record,
        const struct task_record *task)
{
    const struct dead_filter *filter = &walk->filter;
    struct slice host = task->host.size > 0 ? task->host : slice_string("(documents)");
    return (filter->host.size == 0 || slice_equal(filter->host, host)) &&
           (filter->outcome.size == 0 || slice_equal(filter->outcome, record->outcome)) &&
           (!filter->ids.data || is_named(walk->request->core, filter->ids, sequence));
}

static void
write_dead(struct dead_walk *walk, uint64_t sequence, const struct dead_record *record,
           const struct task_record *task)
{
    struct item item = {0};
    char id[TASK_ID_BYTES + 1];
    core_task_id(walk->request->core, sequence, id);
    if (core_item_read(task->item, &item))
        item.url = slice_string("(unreadable)");
    struct buffer *out = walk->list;
    write_map(out, 7);
    write_string(out, "task");
    write_text(out, slice_of(id, TASK_ID_BYTES));
    write_string(out, "url");
    write_text(out, item.url);
    write_string(out, "host");
    write_text(out, task->host.size > 0 ? task->host : slice_string("(documents)"));
    write_string(out, "outcome");
    write_text(out, record->outcome);
    write_string(out, "died_at");
    write_uint(out, (uint64_t)record->died_at);
    write_string(out, "attempts");
    write_uint(out, task->attempts);
    write_string(out, "history");
    write_array(out, task->history_count);
    buffer_append(out, task->history.data, task->history.size);
}

static bool
visit_dead(void *context, const struct store_entry *entry)
{
    struct dead_walk *walk = context;
    struct dead_record record;
    struct task_record task;
    if (entry->is_corrupt || dead_record_read(entry->value, &record) ||
        task_record_read(record.task, &task))
        return true; /* counted by the store, kept for a person */
    if (!matches(walk, entry->number, &record, &task))
        return true;
    write_dead(walk, entry->number, &record, &task);
    return ++walk->count < walk->filter.limit;
}

void
verb_dead(struct request *request)
{
    struct dead_walk walk = {.request = request};
    struct buffer list;
    if (!read_filter(request, &walk.filter))
        return;
    buffer_init(&list, CORE_BATCH_BYTES_MAX);
    walk.list = &list;
    if (store_scan(request->core->store, STORE_DEAD, walk.filter.after + 1, visit_dead, &walk)) {
        request->error = "the store cannot be read";
    } else {
        write_string(request->out, "dead");
        write_array(request->out, walk.count);
        buffer_append(request->out, list.data, list.size);
        request->pairs++;
    }
    buffer_release(&list);
}

static bool
collect_dead(void *context, const struct store_entry *entry)
{
    struct dead_walk *walk = context;
    struct dead_record record;
    struct task_record task;
    if (entry->is_corrupt || dead_record_read(entry->value, &record) ||
        task_record_read(record.task, &task) || !matches(walk, entry->number, &record, &task))
        return true;
    buffer_append(walk->list, &entry->number, sizeof entry->number);
    return ++walk->count < LIST_LIMIT_MAX;
}

/* A dead letter is taken up again: as a new task, since its old one has had its result. */
static bool
retry_dead(struct request *request, uint64_t sequence)
{
    struct core *core = request->core;
    struct dead_record record;
    struct task_record task;
    struct buffer body;
    buffer_init(&body, CORE_BATCH_BYTES_MAX);
    buffer_clear(&core->scratch3);
    enum error error = store_get(core->store, STORE_DEAD, sequence, &core->scratch3);
    if (!error)
        error = dead_record_read(buffer_slice(&core->scratch3), &record);
    if (!error)
        error = task_record_read(record.task, &task);
    if (!error && task.has_body)
        error = store_get(core->store, STORE_BODIES, sequence, &body);
    if (!error) {
        task.attempts = 0;
        task.deaths = 0;
        task.due_at = 0;
        task.wait_ms = 0;
        error = core_accept(core, request->in->time, &task, buffer_slice(&body), NULL);
    }
    buffer_release(&body);
    if (error)
        return false;
    struct store_batch *rows = core_filling(core)->rows;
    store_batch_delete(rows, STORE_DEAD, sequence);
    if (task.has_body)
        store_batch_delete(rows, STORE_BODIES, sequence);
    /* Its old task counts as cancelled now: it was given up, and replaced. */
    totals_subtract_text(&core->totals, TOTAL_STATE, "dead", 1);
    totals_add_text(&core->totals, TOTAL_STATE, "cancelled", 1);
    return true;
}

static bool
purge_dead(struct request *request, uint64_t sequence)
{
    struct core *core = request->core;
    struct store_batch *rows = core_filling(core)->rows;
    store_batch_delete(rows, STORE_DEAD, sequence);
    store_batch_delete(rows, STORE_BODIES, sequence);
    totals_subtract_text(&core->totals, TOTAL_STATE, "dead", 1);
    totals_add_text(&core->totals, TOTAL_STATE, "cancelled", 1);
    return true;
}

static void
change_dead(struct request *request, bool (*change)(struct request *, uint64_t), const char *name)
{
    struct core *core = request->core;
    struct dead_walk walk = {.request = request};
    struct buffer list;
    if (!read_filter(request, &walk.filter))
        return;
    if (!walk.filter.is_all && !walk.filter.ids.data && walk.filter.host.size == 0 &&
        walk.filter.outcome.size == 0) {
        request->error = "say which: ids, host, outcome, or all";
        return;
    }
    /* What was changed a moment ago and is not on the disk yet would be found again. */
    if (core->dead_changed > core->finished) {
        request->error = "busy: ask again";
        return;
    }
    buffer_init(&list, CORE_BATCH_BYTES_MAX);
    walk.list = &list;
    uint64_t changed = 0;
    if (store_scan(core->store, STORE_DEAD, walk.filter.after + 1, collect_dead, &walk))
        request->error = "the store cannot be read";
    for (size_t i = 0; i < walk.count && !request->error; i++) {
        uint64_t sequence = 0;
        memcpy(&sequence, list.data + i * sizeof sequence, sizeof sequence);
        changed += change(request, sequence);
    }
    if (changed > 0)
        core->dead_changed = core->filling;
    buffer_release(&list);
    reply_uint(request, name, changed);
}

void
verb_dead_retry(struct request *request)
{
    change_dead(request, retry_dead, "retried");
}

void
verb_dead_purge(struct request *request)
{
    change_dead(request, purge_dead, "purged");
}
