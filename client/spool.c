#include "client/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/file.h"
#include "client/spool_record.h"

#define SPOOL_MODE 0600
#define SPOOL_REWRITE_BYTES ((uint64_t)16 << 20) /* smaller files are not worth writing anew */
#define SPOOL_REWRITE_FACTOR 4                   /* of what is still needed */

struct spool {
    char *path;
    char *new_path;
    char *damaged_path;
    int fd;
    int lock_fd; /* of PATH.lock, as the file itself is replaced */
    uint64_t size;
    uint8_t client[CLIENT_ID_BYTES];
    uint8_t *loaded; /* the file as it was, until spool_restore() */
    size_t loaded_size;
    struct spool_reading reading;
    uint64_t answered; /* as the last state record says */
    bool is_failed;
};

static char *
join(const char *path, const char *suffix)
{
    char *joined = NULL;
    return asprintf(&joined, "%s%s", path, suffix) >= 0 ? joined : NULL;
}

static enum error
take_lock(struct spool *spool)
{
    char *path = join(spool->path, ".lock");
    if (path == NULL) {
        return ERROR_NO_MEMORY;
    }
    spool->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, SPOOL_MODE);
    free(path);
    if (spool->lock_fd < 0) {
        return file_error(errno);
    }
    if (flock(spool->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? ERROR_LOCKED : ERROR_IO;
    }
    return OK;
}

static enum error
load(struct spool *spool, struct spool_identity *identity)
{
    enum error error =
        file_read_whole(spool->path, SPOOL_BYTES_MAX, &spool->loaded, &spool->loaded_size);
    if (error == ERROR_NOT_FOUND || (error == OK && spool->loaded_size == 0)) {
        identity->is_new = true;
        return OK;
    }
    if (error != OK) {
        return error;
    }
    error = spool_read(slice_of(spool->loaded, spool->loaded_size), &spool->reading);
    if (error != OK) {
        return error;
    }
    memcpy(identity->client, spool->reading.client, CLIENT_ID_BYTES);
    identity->last_sequence = spool->reading.last_sequence;
    identity->confirmed = spool->reading.confirmed;
    identity->is_damaged = spool->reading.good_size < spool->loaded_size;
    if (!identity->is_damaged) {
        return OK;
    }
    unlink(spool->damaged_path);
    return link(spool->path, spool->damaged_path) == 0 ? OK : file_error(errno);
}

enum error
spool_open(const char *path, struct spool **ret_spool, struct spool_identity *ret_identity)
{
    struct spool_identity identity = {0};
    enum error error = ERROR_NO_MEMORY;
    struct spool *spool = calloc(1, sizeof *spool);
    if (spool == NULL) {
        return ERROR_NO_MEMORY;
    }
    spool->fd = -1;
    spool->lock_fd = -1;
    spool->path = strdup(path);
    spool->new_path = join(path, ".new");
    spool->damaged_path = join(path, ".damaged");
    if (spool->path == NULL || spool->new_path == NULL || spool->damaged_path == NULL) {
        goto fail;
    }
    error = take_lock(spool);
    if (error != OK) {
        goto fail;
    }
    error = load(spool, &identity);
    if (error != OK) {
        goto fail;
    }
    *ret_spool = spool;
    *ret_identity = identity;
    return OK;
fail:
    spool_close(spool);
    return error;
}

void
spool_close(struct spool *spool)
{
    if (spool == NULL) {
        return;
    }
    if (spool->fd >= 0) {
        close(spool->fd);
    }
    if (spool->lock_fd >= 0) {
        close(spool->lock_fd);
    }
    spool_reading_release(&spool->reading);
    free(spool->loaded);
    free(spool->path);
    free(spool->new_path);
    free(spool->damaged_path);
    free(spool);
}

/* Writes head, unanswered submits and state into a new file, flushed, and puts it in place. */
static enum error
rewrite(struct spool *spool, const struct feeder_core *core)
{
    struct buffer out;
    struct feeder_submit submit;
    buffer_init(&out, SPOOL_BYTES_MAX);
    spool_write_head(&out, spool->client, feeder_core_last_sequence(core),
                     feeder_core_answered(core));
    for (uint64_t after = 0; feeder_core_unanswered_submit(core, after, &submit);) {
        spool_write_submit(&out, &submit);
        after = submit.sequence;
    }
    int fd = -1;
    enum error error = buffer_error(&out);
    if (error != OK) {
        goto fail;
    }
    fd = open(spool->new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, SPOOL_MODE);
    if (fd < 0) {
        error = file_error(errno);
        goto fail;
    }
    error = file_write_all(fd, buffer_slice(&out));
    if (error == OK && (fsync(fd) != 0 || rename(spool->new_path, spool->path) != 0)) {
        error = file_error(errno);
    }
    if (error == OK) {
        error = file_sync_directory(spool->path);
    }
    if (error != OK) {
        goto fail;
    }
    if (spool->fd >= 0) {
        close(spool->fd);
    }
    spool->fd = fd;
    spool->size = out.size;
    spool->answered = feeder_core_answered(core);
    buffer_release(&out);
    return OK;
fail:
    if (fd >= 0) {
        close(fd);
    }
    buffer_release(&out);
    return error;
}

enum error
spool_restore(struct spool *spool, const uint8_t *client, struct feeder_core *core)
{
    memcpy(spool->client, client, CLIENT_ID_BYTES);
    for (size_t i = 0; i < spool->reading.count; i++) {
        enum error error = spool_restore_submit(spool->reading.submits[i], core);
        if (error != OK) {
            return error;
        }
    }
    spool_reading_release(&spool->reading);
    free(spool->loaded);
    spool->loaded = NULL;
    return rewrite(spool, core);
}

static void
write_state(struct buffer *out, const struct feeder_core *core, uint64_t upto)
{
    uint64_t sequences[FEEDER_WINDOW_MAX];
    size_t count = 0;
    struct feeder_submit submit;
    /* Sealed ones are in the same write, before this record. */
    for (uint64_t after = 0; feeder_core_unanswered_submit(core, after, &submit);) {
        sequences[count++] = submit.sequence;
        after = submit.sequence;
    }
    for (uint64_t after = 0; feeder_core_unspooled(core, after, &submit) && after < upto;) {
        sequences[count++] = submit.sequence;
        after = submit.sequence;
    }
    spool_write_state(out, feeder_core_answered(core), sequences, count);
}

/* Appends what was made; on failure the file is cut back to what it was. */
static enum error
append(struct spool *spool, struct buffer *out, bool is_flushed)
{
    enum error error = buffer_error(out);
    if (error == OK) {
        error = file_write_all(spool->fd, buffer_slice(out));
    }
    if (error != OK) {
        bool is_cut = ftruncate(spool->fd, (off_t)spool->size) == 0 &&
                      lseek(spool->fd, (off_t)spool->size, SEEK_SET) >= 0;
        if (!is_cut) {
            spool->is_failed = true;
        }
        return is_cut ? error : ERROR_IO;
    }
    spool->size += out->size;
    if (is_flushed && fdatasync(spool->fd) != 0) {
        spool->is_failed = true; /* what the disk holds is not known any more */
        return ERROR_IO;
    }
    return OK;
}

static enum error
store(struct spool *spool, struct feeder_core *core, bool is_flushed)
{
    struct buffer out;
    struct feeder_submit submit;
    uint64_t last = 0;
    if (spool->is_failed) {
        return ERROR_IO;
    }
    buffer_init(&out, SPOOL_BYTES_MAX);
    while (feeder_core_unspooled(core, last, &submit)) {
        spool_write_submit(&out, &submit);
        last = submit.sequence;
    }
    uint64_t answered = feeder_core_answered(core);
    write_state(&out, core, last);
    is_flushed = is_flushed || last > 0;
    enum error error = append(spool, &out, is_flushed);
    buffer_release(&out);
    if (error != OK) {
        return error;
    }
    spool->answered = answered;
    feeder_core_spooled(core, last);
    if (is_flushed) {
        feeder_core_confirm(core, answered);
    }
    return OK;
}

static uint64_t
live_bytes(const struct feeder_core *core)
{
    struct feeder_submit submit;
    uint64_t bytes = 0;
    for (uint64_t after = 0; feeder_core_unanswered_submit(core, after, &submit);) {
        bytes += submit.table.size;
        for (size_t i = 0; i < submit.body_count; i++) {
            bytes += submit.bodies[i].size;
        }
        after = submit.sequence;
    }
    return bytes;
}

enum error
spool_write(struct spool *spool, struct feeder_core *core)
{
    struct feeder_submit submit;
    if (!feeder_core_unspooled(core, 0, &submit) && feeder_core_answered(core) == spool->answered) {
        return spool->is_failed ? ERROR_IO : OK;
    }
    enum error error = store(spool, core, false);
    if (error == OK && spool->size > SPOOL_REWRITE_BYTES &&
        spool->size > SPOOL_REWRITE_FACTOR * live_bytes(core)) {
        error = rewrite(spool, core);
        /* The old file is whole: without room for a new one it serves on. */
        return error == ERROR_DISK_FULL ? OK : error;
    }
    return error;
}

enum error
spool_settle(struct spool *spool, struct feeder_core *core)
{
    return store(spool, core, true);
}
