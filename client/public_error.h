/*
 * public_error: our errors as those of thresh.h.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_CLIENT_PUBLIC_ERROR_H
#define THRESH_CLIENT_PUBLIC_ERROR_H

#include "common/error.h"
#include "include/thresh.h"

/* THRESH_OK or a negative enum thresh_error. */
int public_error(enum error error);

#endif
