/*
 * pool_extractor: an extractor that obeys its documents, to test the pool's faults.
 *
 * Linked instead of worker/extract.c. The body's first word says what to do; any other body comes
 * back as the pair "text".
 *
 *     crash, abort, spin, block, eat, leak   die, hang or take memory
 *     open, socket, exec, kill, fork, exit   try what the sandbox forbids, or end
 *     charset LABEL\nBYTES                   answer the bytes as UTF-8
 *     answer HOW                             answer something that is no answer
 */
#ifndef THRESH_TESTS_POOL_EXTRACTOR_H
#define THRESH_TESTS_POOL_EXTRACTOR_H

#include "worker/extract.h"

#endif
