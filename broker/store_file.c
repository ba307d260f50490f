#include "broker/store_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum error
store_file_damaged(const struct store_file *file, uint64_t page, const char *what)
{
    buffer_printf(file->message,
                  "store %s is damaged: page %" PRIu64
                  " of its data file: %s; nothing was changed; "
                  "check the disk and put a copy back",
                  file->path, page, what);
    return ERROR_CORRUPT;
}

enum error
store_file_read(const struct store_file *file, uint64_t page, void *to, size_t size,
                uint64_t offset)
{
    uint8_t *bytes = to;
    size_t done = 0;

    while (done < size) {
        ssize_t got = pread(file->fd, bytes + done, size - done, (off_t)(offset + done));

        if (got == 0) {
            return store_file_damaged(file, page,
                                      "it lies behind the end of the file, which was cut");
        }
        if (got < 0 && errno != EINTR) {
            buffer_printf(file->message, "store %s cannot be read: %s; check the disk", file->path,
                          strerror(errno));
            return ERROR_IO;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return OK;
}

static enum error
read_meta(const struct store_file *file, unsigned index, size_t page_bytes, struct meta *ret_meta)
{
    struct page_head head;
    enum error error = store_file_read(file, index, &head, sizeof(head), index * page_bytes);

    if (error == OK) {
        error = store_file_read(file, index, ret_meta, sizeof(*ret_meta),
                                index * page_bytes + PAGE_HEAD_BYTES);
    }
    if (error != OK) {
        return error;
    }
    if (head.number != index || head.flags != PAGE_META || ret_meta->magic != META_MAGIC) {
        return store_file_damaged(file, index, "it is not the head of a store");
    }
    if (ret_meta->format != META_FORMAT) {
        buffer_printf(file->message,
                      "store %s was made by another version of LMDB (format %" PRIu32
                      "); use the program that made it",
                      file->path, ret_meta->format);
        return ERROR_VERSION;
    }
    return OK;
}

/* The last entry of a page: its child in a branch, its key in the free list's leaf. */
static bool
last_entry(const uint8_t *page, size_t page_bytes, bool is_leaf, uint64_t *ret_entry)
{
    struct page_head head;
    struct node_head node;
    uint16_t offset;

    memcpy(&head, page, sizeof(head));
    if (head.flags != (is_leaf ? PAGE_LEAF : PAGE_BRANCH) || head.lower > page_bytes ||
        head.lower < PAGE_HEAD_BYTES + sizeof(offset)) {
        return false;
    }
    memcpy(&offset, page + head.lower - sizeof(offset), sizeof(offset));
    if (offset > page_bytes - sizeof(node) - sizeof(*ret_entry)) {
        return false;
    }
    memcpy(&node, page + offset, sizeof(node));
    if (is_leaf) {
        memcpy(ret_entry, page + offset + sizeof(node), sizeof(*ret_entry));
        return node.key_bytes == sizeof(*ret_entry);
    }
    *ret_entry = (uint64_t)node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
    return true;
}

/* The number of the last batch in a head's free list: that of the head itself, since every batch
 * replaces the page that lists the tables and so frees one; only the first batch frees none. 0 when
 * it cannot be found out: the older head need not be sound for the newer one to be. */
static uint64_t
last_freed(const struct store_file *file, const struct meta *meta, size_t page_bytes)
{
    struct store_file quiet = *file;
    struct buffer message;
    uint64_t entry = meta->free.root;
    uint8_t *page = malloc(page_bytes);
    bool is_found = page != NULL && entry != NO_PAGE && meta->free.depth <= TREE_DEPTH_MAX;

    buffer_init(&message, 1024);
    quiet.message = &message;
    for (unsigned depth = 1; is_found && depth <= meta->free.depth; depth++) {
        is_found = entry <= meta->last_page &&
                   store_file_read(&quiet, entry, page, page_bytes, entry * page_bytes) == OK &&
                   last_entry(page, page_bytes, depth == meta->free.depth, &entry);
    }
    buffer_release(&message);
    free(page);
    return is_found ? entry : 0;
}

static bool
is_possible_page_size(size_t page_bytes)
{
    return page_bytes >= PAGE_BYTES_MIN && page_bytes <= PAGE_BYTES_MAX &&
           (page_bytes & (page_bytes - 1)) == 0;
}

enum error
store_file_head(const struct store_file *file, struct meta *ret_meta)
{
    struct meta metas[META_COUNT];
    const struct meta *newest;
    const struct meta *other;
    enum error error = read_meta(file, 0, 0, &metas[0]);
    size_t page_bytes;
    uint64_t freed;

    if (error != OK) {
        return error;
    }
    page_bytes = metas[0].free.page_bytes;
    if (!is_possible_page_size(page_bytes)) {
        return store_file_damaged(file, 0, "the size of a page is impossible");
    }
    error = read_meta(file, 1, page_bytes, &metas[1]);
    if (error != OK) {
        return error;
    }
    /* The older head's pages may have been written over by a batch that a power cut ended, so of
     * its free list only one number says something: the one that makes it the newest. */
    newest = &metas[metas[1].number > metas[0].number];
    other = &metas[newest == &metas[0]];
    freed = last_freed(file, newest, page_bytes);
    if (newest->number - other->number > 1 ||
        (newest->number > 0 && &metas[newest->number & 1] != newest) ||
        newest->free.page_bytes != page_bytes || (freed != 0 && freed != newest->number) ||
        last_freed(file, other, page_bytes) == newest->number + 1) {
        return store_file_damaged(file, (uint64_t)(newest - metas),
                                  "the two heads of the store do not belong together");
    }
    *ret_meta = *newest;
    return OK;
}
