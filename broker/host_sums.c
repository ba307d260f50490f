#include "broker/host_sums.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/record.h"
#include "broker/store_format.h"

#define KEY_FIRST_BYTE '+' /* a host's own row begins with a dot */
#define KEY_BYTES (1 + STORE_NUMBER_BYTES)

static bool
reserve(struct host_list *list, uint32_t count)
{
    if (count <= list->capacity)
        return true;
    uint32_t capacity = list->capacity ? list->capacity : 64;
    while (capacity < count)
        capacity = capacity > UINT32_MAX / 2 ? UINT32_MAX : capacity * 2;
    uint32_t *larger = realloc(list->hosts, capacity * sizeof *larger);
    if (!larger)
        return false;
    list->hosts = larger;
    list->capacity = capacity;
    return true;
}

static void
append(struct host_list *list, uint32_t host)
{
    assert(list->count < list->capacity);
    list->hosts[list->count++] = host;
}

void
host_sums_release(struct host_sums *sums)
{
    free(sums->changed.hosts);
    free(sums->logged.hosts);
    *sums = (struct host_sums){0};
}

bool
host_sums_change(struct host_sums *sums, struct hosts *hosts, uint32_t host)
{
    struct host *row = host_at(hosts, host);
    if (row->is_changed)
        return true;
    /* Room for all that can be logged with it, so that writing the row cannot fail. */
    if (!reserve(&sums->changed, sums->changed.count + 1) ||
        !reserve(&sums->logged, sums->logged.count + sums->changed.count + 1))
        return false;
    append(&sums->changed, host);
    row->is_changed = true;
    return true;
}

static struct slice
key_of(uint64_t number, uint8_t *bytes)
{
    bytes[0] = KEY_FIRST_BYTE;
    store_number_encode(number, bytes + 1);
    return slice_of(bytes, KEY_BYTES);
}

static void
note_logged(struct host_sums *sums, struct hosts *hosts, uint32_t host)
{
    struct host *row = host_at(hosts, host);
    sums->entries++;
    if (row->is_logged)
        return;
    append(&sums->logged, host);
    row->is_logged = true;
}

void
host_sums_write(struct host_sums *sums, struct hosts *hosts, struct buffer *scratch,
                struct store_batch *rows)
{
    uint8_t key[KEY_BYTES];
    if (sums->changed.count == 0)
        return;
    buffer_clear(scratch);
    for (uint32_t i = 0; i < sums->changed.count; i++) {
        uint32_t host = sums->changed.hosts[i];
        struct host *row = host_at(hosts, host);
        struct slice name = host_name(hosts, host);
        row->is_changed = false;
        write_varint(scratch, name.size);
        buffer_append(scratch, name.data, name.size);
        write_varint(scratch, row->done);
        write_varint(scratch, row->failed);
        write_varint(scratch, row->bytes);
        note_logged(sums, hosts, host);
    }
    sums->changed.count = 0;
    store_batch_put_bytes(rows, STORE_HOSTS, key_of(sums->next++, key), buffer_slice(scratch));
}

bool
host_sums_is_full(const struct host_sums *sums)
{
    return sums->entries >= HOST_SUMS_ENTRIES_MAX || sums->next - sums->first >= HOST_SUMS_ROWS_MAX;
}

void
host_sums_folded(struct host_sums *sums, struct hosts *hosts, struct store_batch *rows)
{
    uint8_t key[KEY_BYTES];
    for (uint32_t i = 0; i < sums->logged.count; i++)
        host_at(hosts, sums->logged.hosts[i])->is_logged = false;
    for (; sums->first < sums->next; sums->first++)
        store_batch_delete_bytes(rows, STORE_HOSTS, key_of(sums->first, key));
    sums->logged.count = 0;
    sums->entries = 0;
}

void
host_sums_raise(struct host *row, uint64_t done, uint64_t failed, uint64_t bytes)
{
    row->done = done > row->done ? done : row->done;
    row->failed = failed > row->failed ? failed : row->failed;
    row->bytes = bytes > row->bytes ? bytes : row->bytes;
}

bool
host_sums_is_row(struct slice key)
{
    return key.size == KEY_BYTES && key.data[0] == KEY_FIRST_BYTE;
}

struct entry {
    struct slice name;
    uint64_t done;
    uint64_t failed;
    uint64_t bytes;
};

static bool
read_entry(struct slice *rest, struct entry *ret_entry)
{
    uint64_t size = 0;
    if (!read_varint(rest, &size) || size > HOST_NAME_BYTES_MAX || size > rest->size)
        return false;
    ret_entry->name = slice_of(rest->data, (size_t)size);
    rest->data += size;
    rest->size -= (size_t)size;
    return read_varint(rest, &ret_entry->done) && read_varint(rest, &ret_entry->failed) &&
           read_varint(rest, &ret_entry->bytes);
}

static bool
is_readable(struct slice value)
{
    struct entry entry;
    while (value.size > 0) {
        if (!read_entry(&value, &entry))
            return false;
    }
    return true;
}

enum error
host_sums_load(struct host_sums *sums, struct hosts *hosts, struct slice key, struct slice value,
               void (*visit)(void *context, uint32_t host), void *context)
{
    struct entry entry;
    uint64_t number = store_number_decode(key.data + 1);
    bool is_good = value.size > 0 && is_readable(value);
    /* Rows come in order. What cannot be read stays, so those to be folded begin behind it, and
     * behind a hole that folding has not made. */
    if (!is_good || sums->entries == 0 || number - sums->first >= HOST_SUMS_ROWS_MAX)
        sums->first = is_good ? number : number + 1;
    sums->next = number + 1;
    if (!is_good)
        return ERROR_CORRUPT;
    while (value.size > 0 && read_entry(&value, &entry)) {
        uint32_t host = HOST_NONE;
        enum error error = hosts_find(hosts, entry.name, &host);
        if (error)
            return error;
        struct host *row = host_at(hosts, host);
        host_sums_raise(row, entry.done, entry.failed, entry.bytes);
        if (!reserve(&sums->logged, sums->logged.count + 1))
            return ERROR_NO_MEMORY;
        note_logged(sums, hosts, host);
        visit(context, host);
    }
    return OK;
}
