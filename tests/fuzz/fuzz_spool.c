/* A spool file of any bytes: read and restored, or refused. With a first byte of 1 the rest is one
 * record's payload, which gets its checksum here, so that the fuzzer gets past it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <xxhash.h>

#include "client/spool_record.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)

static void
read_all(struct slice file)
{
    struct spool_reading reading;
    struct feeder_core_options options = {.name = "fuzz", .is_spooled = true};
    struct feeder_core *core = feeder_core_create(&options, NULL, NULL);
    if (core != NULL && spool_read(file, &reading) == OK) {
        for (size_t i = 0; i < reading.count; i++) {
            ignore_error(spool_restore_submit(reading.submits[i], core));
        }
        spool_reading_release(&reading);
    }
    feeder_core_destroy(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t client[CLIENT_ID_BYTES];
    if (size == 0 || size > FILE_BYTES_MAX / 2) {
        return 0;
    }
    if (data[0] != 1) {
        read_all(slice_of(data + 1, size - 1));
        return 0;
    }
    struct buffer file;
    buffer_init(&file, FILE_BYTES_MAX);
    spool_write_head(&file, client, 0, 0);
    uint64_t checksum = XXH3_64bits(data + 1, size - 1);
    uint32_t length = (uint32_t)(size - 1);
    uint8_t head[12];
    for (size_t i = 0; i < sizeof head; i++) {
        head[i] = (uint8_t)(i < 4 ? length >> (8 * i) : checksum >> (8 * (i - 4)));
    }
    buffer_append(&file, head, sizeof head);
    buffer_append(&file, data + 1, size - 1);
    read_all(buffer_slice(&file));
    buffer_release(&file);
    return 0;
}
