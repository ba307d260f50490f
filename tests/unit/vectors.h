/*
 * vectors: JSON test data for unit tests, read with cJSON.
 *
 * cJSON ends its strings with a NUL, so an escaped U+0000 is read as U+F8F0 (private use) and
 * vector_slice() turns it back. Tests only.
 */
#ifndef THRESH_TESTS_UNIT_VECTORS_H
#define THRESH_TESTS_UNIT_VECTORS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "common/buffer.h"

#define VECTOR_FILE_BYTES_MAX (8 * 1024 * 1024)
#define VECTOR_TEXT_BYTES_MAX (64 * 1024)

/* The file's bytes, ended by a NUL; NULL when it is not there. The caller frees them. */
static inline char *
vectors_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    char *text = malloc(VECTOR_FILE_BYTES_MAX + 1);
    size_t size = text != NULL ? fread(text, 1, VECTOR_FILE_BYTES_MAX, file) : 0;
    if (text != NULL) {
        text[size] = '\0';
    }
    fclose(file);
    return text;
}

/* The document, or NULL when the file is not there. cJSON_Delete() frees it. */
static inline cJSON *
vectors_load(const char *path)
{
    char *text = vectors_read(path);
    if (text == NULL) {
        return NULL;
    }
    for (char *at = strchr(text, '\\'); at != NULL && at[1] != '\0'; at = strchr(at + 2, '\\')) {
        if (strncmp(at, "\\u0000", 6) == 0) {
            memcpy(at, "\\uF8F0", 6);
        }
    }
    cJSON *document = cJSON_Parse(text);
    free(text);
    return document;
}

/* The string with its NULs; `copy` holds the bytes. */
static inline struct slice
vector_slice(const char *text, char copy[VECTOR_TEXT_BYTES_MAX])
{
    static const char stand_in[] = "\uf8f0";
    size_t size = 0;
    for (size_t i = 0; text[i] != '\0' && size < VECTOR_TEXT_BYTES_MAX;) {
        if (strncmp(text + i, stand_in, 3) == 0) {
            copy[size++] = '\0';
            i += 3;
        } else {
            copy[size++] = text[i++];
        }
    }
    return slice_of(copy, size);
}

/* The string member of an object; NULL when it is absent or null. */
static inline const char *
vector_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

#endif
