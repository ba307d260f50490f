/*
 * Power cuts: every write and sync of LMDB's data file is recorded while numbered batches are
 * written; then files are made as a cut may leave them: all that was synced, and of what was not,
 * any subset of the 512-byte sectors. Each of them must open and hold every durable batch whole.
 *
 * The recorder stands in for the C library's functions: a program's own definition is found first
 * by the libraries it is linked with.
 */
#include "broker/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/unit/numbered_batches.h"
#include "tests/unit/store_place.h"

#define BATCH_BYTES ((size_t)1 << 20)
#define EVENTS_MAX 20000u
#define IMAGE_BYTES_MAX ((size_t)4 << 20)
#define SECTOR_BYTES 512u
#define BATCHES 120u
#define IMAGES_AN_EVENT 6u

static const struct numbering numbering = {.rows_a_batch = 8, .kept = 10, .large_bytes = 6000};

struct event {
    uint8_t *bytes; /* NULL: a sync */
    size_t size;
    size_t offset;
    bool is_synced_itself; /* through a descriptor that syncs each write */
    uint64_t durable;      /* batches that were called durable before it */
};

static struct recorder {
    ino_t inode; /* 0: nothing is recorded */
    struct event events[EVENTS_MAX];
    size_t event_count;
    uint64_t durable;
} recorder;

static struct event *
record(int fd)
{
    struct stat status;
    struct event *event;

    if (recorder.inode == 0 || fstat(fd, &status) != 0 || status.st_ino != recorder.inode) {
        return NULL;
    }
    if (recorder.event_count == EVENTS_MAX) {
        abort();
    }
    event = &recorder.events[recorder.event_count++];
    *event = (struct event){.durable = recorder.durable};
    event->is_synced_itself = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
    return event;
}

static void
record_write(int fd, const void *bytes, size_t size, off_t offset)
{
    struct event *event = record(fd);

    if (event != NULL) {
        event->bytes = malloc(size);
        event->size = size;
        event->offset = (size_t)offset;
        memcpy(event->bytes, bytes, size);
    }
}

ssize_t recorded_pwrite(int fd, const void *bytes, size_t size, off_t offset) __asm__("pwrite");
ssize_t recorded_writev(int fd, const struct iovec *parts, int count) __asm__("writev");
int recorded_fdatasync(int fd) __asm__("fdatasync");
int recorded_fsync(int fd) __asm__("fsync");

ssize_t
recorded_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    record_write(fd, bytes, size, offset);
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t
recorded_writev(int fd, const struct iovec *parts, int count)
{
    off_t offset = recorder.inode != 0 ? lseek(fd, 0, SEEK_CUR) : 0;

    for (int i = 0; i < count; i++) {
        record_write(fd, parts[i].iov_base, parts[i].iov_len, offset);
        offset += (off_t)parts[i].iov_len;
    }
    return syscall(SYS_writev, fd, parts, count);
}

int
recorded_fdatasync(int fd)
{
    record(fd);
    return (int)syscall(SYS_fdatasync, fd);
}

int
recorded_fsync(int fd)
{
    record(fd);
    return (int)syscall(SYS_fsync, fd);
}

/* ---- images --------------------------------------------------------------------------------- */

struct image {
    uint8_t *bytes;
    size_t size;
};

static void
image_write(struct image *image, const struct event *event, size_t from, size_t size)
{
    cr_assert_leq(event->offset + from + size, IMAGE_BYTES_MAX);
    memcpy(image->bytes + event->offset + from, event->bytes + from, size);
    if (event->offset + from + size > image->size) {
        image->size = event->offset + from + size;
    }
}

/* Each sector of an unsynced write is on the disk or not; half of the time by whole writes. */
static void
image_tear(struct image *image, const struct event *event, unsigned *seed)
{
    bool is_whole = rand_r(seed) % 2 != 0;
    bool is_there = rand_r(seed) % 2 != 0;

    for (size_t at = 0; at < event->size;) {
        size_t size = SECTOR_BYTES - (event->offset + at) % SECTOR_BYTES;

        size = size > event->size - at ? event->size - at : size;
        is_there = is_whole ? is_there : rand_r(seed) % 2 != 0;
        if (is_there) {
            image_write(image, event, at, size);
        }
        at += size;
    }
}

static void
image_load(struct image *image, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY);

    cr_assert(fd >= 0 && fstat(fd, &status) == 0);
    image->size = (size_t)status.st_size;
    cr_assert_eq(read(fd, image->bytes, image->size), status.st_size);
    close(fd);
}

static void
image_save(const struct image *image, const char *path)
{
    int fd = open(path, O_WRONLY | O_TRUNC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, image->bytes, image->size), (ssize_t)image->size);
    close(fd);
}

/* Batches with a settle now and then, as a committer does it; what is durable is noted at once. */
static void
write_batches(struct place *place, const char *path)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    bool is_full = place->sync == STORE_SYNC_FULL;
    struct stat status;

    cr_assert_eq(stat(path, &status), 0);
    recorder.inode = status.st_ino;
    for (uint64_t number = 1; number <= BATCHES; number++) {
        numbered_fill(&numbering, batch, number);
        cr_assert_eq(store_commit(place->store, batch), OK);
        recorder.durable = is_full ? number : number - 1;
        if (number % 7 == 0) {
            cr_assert_eq(store_settle(place->store), OK);
            recorder.durable = number;
        }
    }
    recorder.inode = 0;
    store_batch_destroy(batch);
}

/* Cuts the power after each event, several times in different ways; gives how many images. */
static uint64_t
cut_everywhere(struct place *place, struct image *synced, const char *path)
{
    struct image cut = {.bytes = malloc(IMAGE_BYTES_MAX)};
    unsigned seed = 5;
    uint64_t image_count = 0;
    size_t first_unsynced = 0;

    cr_assert_not_null(cut.bytes);
    for (size_t end = 0; end < recorder.event_count; end++) {
        const struct event *event = &recorder.events[end];

        if (event->bytes == NULL) {
            for (; first_unsynced < end; first_unsynced++) {
                if (recorder.events[first_unsynced].bytes != NULL) {
                    image_write(synced, &recorder.events[first_unsynced], 0,
                                recorder.events[first_unsynced].size);
                }
            }
        }
        for (unsigned i = 0; i < IMAGES_AN_EVENT; i++) {
            memcpy(cut.bytes, synced->bytes, IMAGE_BYTES_MAX);
            cut.size = synced->size;
            for (size_t at = first_unsynced; at <= end; at++) {
                if (recorder.events[at].bytes != NULL && recorder.events[at].is_synced_itself &&
                    at < end) {
                    image_write(&cut, &recorder.events[at], 0, recorder.events[at].size);
                } else if (recorder.events[at].bytes != NULL) {
                    image_tear(&cut, &recorder.events[at], &seed);
                }
            }
            image_save(&cut, path);
            numbered_check(&numbering, place, event->durable, "cut after event", end);
            image_count++;
        }
    }
    free(cut.bytes);
    return image_count;
}

static void
cut_power(enum store_sync sync)
{
    struct image synced = {.bytes = calloc(IMAGE_BYTES_MAX, 1)};
    char path[2 * PLACE_PATH_BYTES];
    struct place place;
    uint64_t image_count;

    cr_assert_not_null(synced.bytes);
    /* Nothing of this needs a disk, and syncing thousands of files would take long on one. */
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 1);
    }
    place_init(&place, false);
    place.sync = sync;
    place_open(&place);
    snprintf(path, sizeof(path), "%s/data.mdb", place.path);
    image_load(&synced, path);
    write_batches(&place, path);
    place_close(&place);
    cr_assert_gt(recorder.event_count, 2 * BATCHES, "the recorder stands where LMDB writes");
    image_count = cut_everywhere(&place, &synced, path);
    cr_expect_gt(image_count, 2 * BATCHES * IMAGES_AN_EVENT);
    for (size_t i = 0; i < recorder.event_count; i++) {
        free(recorder.events[i].bytes);
    }
    free(synced.bytes);
    place_release(&place);
}

Test(store_power, a_cut_leaves_every_durable_batch_with_group_sync, .timeout = 600)
{
    cut_power(STORE_SYNC_GROUP);
}

Test(store_power, a_cut_leaves_every_durable_batch_with_full_sync, .timeout = 600)
{
    cut_power(STORE_SYNC_FULL);
}
