/*
 * lmdb_format: how LMDB 0.9 lays out its file on a 64-bit machine, for those who check it.
 *
 * Source   MDB_page, MDB_node, MDB_db and MDB_meta in mdb.c of openldap. Numbers are the machine's.
 */
#ifndef THRESH_BROKER_LMDB_FORMAT_H
#define THRESH_BROKER_LMDB_FORMAT_H

#include <stdint.h>

#define PAGE_HEAD_BYTES 16
#define NODE_HEAD_BYTES 8
#define PAGE_BYTES_MIN 512
#define PAGE_BYTES_MAX 65536
#define TREE_DEPTH_MAX 32 /* LMDB's CURSOR_STACK */
#define META_MAGIC 0xbeefc0deu
#define META_FORMAT 1u
#define META_COUNT 2u /* pages 0 and 1 */
#define NO_PAGE UINT64_MAX

enum page_flag {
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
};

enum node_flag {
    NODE_BIG = 0x01,  /* the value stands in overflow pages */
    NODE_TREE = 0x02, /* the value is a tree: a named database */
};

#define TREE_NUMBER_KEYS 0x08 /* keys are numbers of the machine; the free list's alone */

/* Then offsets of nodes, two bytes each, up to lower; nodes stand from upper to the end. */
struct page_head {
    uint64_t number;
    uint16_t unused;
    uint16_t flags;
    uint16_t lower; /* lower and upper together: the pages of an overflow run */
    uint16_t upper;
};

/* Then the key, then the value or the page it stands in. In a branch the first three fields are
 * the child's page, else low and high are the size of the value. */
struct node_head {
    uint16_t low;
    uint16_t high;
    uint16_t flags;
    uint16_t key_bytes;
};

struct tree {
    uint32_t page_bytes; /* in the free list's tree only */
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t entries;
    uint64_t root;
};

/* Behind the head of its page. */
struct meta {
    uint32_t magic;
    uint32_t format;
    uint64_t address;
    uint64_t map_bytes;
    struct tree free;
    struct tree main;
    uint64_t last_page;
    uint64_t number; /* of the batch; its last bit is the page it stands in */
};

_Static_assert(sizeof(struct page_head) == PAGE_HEAD_BYTES && sizeof(struct node_head) == 8 &&
                   sizeof(struct tree) == 48 && sizeof(struct meta) == 136,
               "as in the file");

#endif
