/* What a hostile broker may say to a feeder and to a collector: the first byte chooses, the next
 * two are the size of the header frame, then come the header and the table. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "client/collector_core.h"
#include "client/feeder_core.h"
#include "common/message.h"

#define ITEMS 5

static enum error
drop(void *context, const struct slice *frames, size_t frame_count)
{
    (void)context;
    (void)frames;
    (void)frame_count;
    return OK;
}

static void
count(void *context, uint64_t token, enum thresh_status status, const char *task,
      const char *reason)
{
    uint64_t *calls = context;
    (void)token;
    (void)status;
    (void)task;
    (void)reason;
    (*calls)++;
}

static void
welcome(struct buffer *header)
{
    buffer_init(header, 1000);
    write_header(header, MESSAGE_WELCOME, 0, 1);
    write_string(header, "store");
    write_string(header, "00000000");
}

static void
feed(const struct slice *frames, size_t frame_count)
{
    uint64_t calls = 0;
    int64_t deadline_ms;
    struct buffer hello;
    struct session_sender sender = {.send = drop};
    struct feeder_core_options options = {.name = "fuzz"};
    struct thresh_item item = {.url = "http://a/"};
    struct feeder_core *core = feeder_core_create(&options, count, &calls);
    if (core == NULL) {
        return;
    }
    for (size_t i = 0; i < ITEMS; i++) {
        ignore_error(feeder_core_add(core, &item));
    }
    ignore_error(feeder_core_flush(core));
    welcome(&hello);
    struct slice frame = buffer_slice(&hello);
    ignore_error(feeder_core_receive(core, &frame, 1, 0));
    ignore_error(feeder_core_tick(core, 0, &sender, &deadline_ms));
    for (int64_t now_ms = 1; now_ms < 4; now_ms++) {
        ignore_error(feeder_core_receive(core, frames, frame_count, now_ms));
        ignore_error(feeder_core_tick(core, now_ms, &sender, &deadline_ms));
    }
    if (calls + feeder_core_unanswered(core) != ITEMS) {
        abort(); /* an item was lost, or told twice */
    }
    feeder_core_destroy(core);
    buffer_release(&hello);
}

static void
collect(const struct slice *frames, size_t frame_count)
{
    bool is_delivery = false;
    int64_t deadline_ms;
    uint64_t last = 0;
    struct buffer hello;
    struct collector_delivery delivery;
    struct collector_row row;
    struct session_sender sender = {.send = drop};
    struct collector_core_options options = {.name = "fuzz"};
    struct collector_core *core = collector_core_create(&options);
    if (core == NULL) {
        return;
    }
    welcome(&hello);
    struct slice frame = buffer_slice(&hello);
    ignore_error(collector_core_receive(core, &frame, 1, 0, &is_delivery, &delivery));
    for (int64_t now_ms = 1; now_ms < 4; now_ms++) {
        ignore_error(
            collector_core_receive(core, frames, frame_count, now_ms, &is_delivery, &delivery));
        while (is_delivery && collector_core_next(core, &delivery, &row)) {
            if (row.position <= last) {
                abort(); /* a result was given out twice */
            }
            last = row.position;
        }
        collector_core_acknowledge(core, last);
        ignore_error(collector_core_tick(core, now_ms, &sender, &deadline_ms));
    }
    collector_core_destroy(core);
    buffer_release(&hello);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    size_t header_size = (size_t)data[1] << 8 | data[2];
    size_t left = size - 3;
    header_size = header_size < left ? header_size : left;
    struct slice frames[] = {
        slice_of(data + 3, header_size),
        slice_of(data + 3 + header_size, left - header_size),
        slice_of("\x80", 1),
        slice_of("\x80", 1),
    };
    size_t frame_count = 1 + (size_t)(data[0] >> 1) % 4;
    if (data[0] & 1) {
        feed(frames, frame_count);
    } else {
        collect(frames, frame_count);
    }
    return 0;
}
