#include "broker/store_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/store_directory.h"
#include "broker/store_pages.h"

#define MESSAGE_BYTES_MAX 4096

struct walk {
    struct store_report report;
    enum store_table table;
    store_corrupt_found_fn *corrupt_found;
    void *context;
};

static bool
count_row(void *context, const struct store_entry *entry)
{
    struct walk *walk = context;

    walk->report.tables[walk->table].rows++;
    walk->report.tables[walk->table].value_bytes += entry->value.size;
    if (entry->is_corrupt) {
        walk->report.tables[walk->table].corrupt_rows++;
        if (walk->corrupt_found != NULL) {
            walk->corrupt_found(walk->context, walk->table, entry);
        }
    }
    return true;
}

enum error
store_check(struct store *store, store_corrupt_found_fn *corrupt_found, void *context,
            struct store_report *ret_report)
{
    struct walk walk = {.corrupt_found = corrupt_found, .context = context};

    for (unsigned table = 0; table < STORE_TABLE_COUNT; table++) {
        enum error error;

        walk.table = table;
        error = store_scan(store, table, 0, count_row, &walk);
        if (error != OK) {
            return error;
        }
        walk.report.rows += walk.report.tables[table].rows;
        walk.report.corrupt_rows += walk.report.tables[table].corrupt_rows;
    }
    *ret_report = walk.report;
    return walk.report.corrupt_rows == 0 ? OK : ERROR_CORRUPT;
}

static enum error
check_data_file(const struct store_directory *directory, struct buffer *message)
{
    int fd = openat(directory->fd, STORE_DATA_NAME, O_RDONLY | O_CLOEXEC);
    enum error error;

    if (fd < 0) {
        buffer_printf(message, "store %s: cannot open it: %s; check the path and its rights",
                      directory->path, strerror(errno));
        return store_error_of_errno(errno);
    }
    error = store_pages_check(fd, directory->path, true, message);
    close(fd);
    return error;
}

enum error
store_check_file(const char *path, char **ret_message)
{
    struct store_directory directory;
    struct buffer message;
    enum error error;

    buffer_init(&message, MESSAGE_BYTES_MAX);
    if (access(path, F_OK) != 0) { /* checking makes nothing */
        buffer_printf(&message, "store %s: there is no store here; check --store", path);
        error = ERROR_NOT_FOUND;
        goto done;
    }
    error = store_directory_open(&directory, path, false, &message);
    if (error == OK) {
        error = check_data_file(&directory, &message);
        store_directory_release(&directory);
    }

done:
    if (error != OK && ret_message != NULL) {
        *ret_message = strdup(message.size > 0 ? buffer_text(&message) : error_text(error));
    }
    buffer_release(&message);
    return error;
}
