#include "worker/http_date.h"

#include <string.h>

#define MS_A_SECOND 1000
#define SECONDS_A_DAY 86400
#define DIGITS_MAX 10 /* Retry-After of more digits is capped anyway */

/* A reader with a sticky flag: each step does nothing once one has failed. */
struct scan {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

struct civil {
    int64_t year;
    int64_t month; /* 1 to 12 */
    int64_t day;
    int64_t hour;
    int64_t minute;
    int64_t second;
};

static void
scan_byte(struct scan *scan, char byte)
{
    if (scan->is_bad || scan->at == scan->end || *scan->at != (uint8_t)byte) {
        scan->is_bad = true;
        return;
    }
    scan->at++;
}

static bool
scan_has(const struct scan *scan, char byte)
{
    return !scan->is_bad && scan->at < scan->end && *scan->at == (uint8_t)byte;
}

/* Exactly `digits` digits; with `is_padded` a leading blank counts as 0. */
static int64_t
scan_number(struct scan *scan, int digits, bool is_padded)
{
    int64_t number = 0;

    for (int i = 0; i < digits; i++) {
        if (i == 0 && is_padded && scan_has(scan, ' ')) {
            scan->at++;
            continue;
        }
        if (scan->is_bad || scan->at == scan->end || *scan->at < '0' || *scan->at > '9') {
            scan->is_bad = true;
            return 0;
        }
        number = number * 10 + (*scan->at++ - '0');
    }
    return number;
}

static int64_t
scan_month(struct scan *scan)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int64_t i = 0; !scan->is_bad && scan->end - scan->at >= 3 && i < 12; i++) {
        if (memcmp(scan->at, names + i * 3, 3) == 0) {
            scan->at += 3;
            return i + 1;
        }
    }
    scan->is_bad = true;
    return 0;
}

/* The day's name is redundant; it is stepped over, not believed. */
static int
scan_letters(struct scan *scan)
{
    int count = 0;

    while (!scan->is_bad && scan->at < scan->end &&
           ((*scan->at >= 'A' && *scan->at <= 'Z') || (*scan->at >= 'a' && *scan->at <= 'z'))) {
        scan->at++;
        count++;
    }
    return count;
}

static void
scan_clock(struct scan *scan, struct civil *civil)
{
    civil->hour = scan_number(scan, 2, false);
    scan_byte(scan, ':');
    civil->minute = scan_number(scan, 2, false);
    scan_byte(scan, ':');
    civil->second = scan_number(scan, 2, false);
}

/* Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, days_from_civil). */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = shifted / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

/* Within 50 years of now (RFC 9110, section 5.6.7). */
static int64_t
full_year(int64_t two_digits, int64_t now_at)
{
    int64_t now_year = 1970 + now_at / MS_A_SECOND / SECONDS_A_DAY * 400 / 146097;
    int64_t year = now_year - now_year % 100 + two_digits;

    return year > now_year + 50 ? year - 100 : year;
}

/* "06 Nov 1994 08:49:37 GMT" and "06-Nov-94 08:49:37 GMT", behind "Sun, " and "Sunday, ". */
static void
scan_fixdate(struct scan *scan, int64_t now_at, struct civil *civil)
{
    scan_byte(scan, ',');
    scan_byte(scan, ' ');
    civil->day = scan_number(scan, 2, false);
    bool is_rfc850 = scan_has(scan, '-');
    scan_byte(scan, is_rfc850 ? '-' : ' ');
    civil->month = scan_month(scan);
    scan_byte(scan, is_rfc850 ? '-' : ' ');
    civil->year =
        is_rfc850 ? full_year(scan_number(scan, 2, false), now_at) : scan_number(scan, 4, false);
    scan_byte(scan, ' ');
    scan_clock(scan, civil);
    scan_byte(scan, ' ');
    scan_byte(scan, 'G');
    scan_byte(scan, 'M');
    scan_byte(scan, 'T');
}

/* "Nov  6 08:49:37 1994", behind "Sun ". */
static void
scan_asctime(struct scan *scan, struct civil *civil)
{
    scan_byte(scan, ' ');
    civil->month = scan_month(scan);
    scan_byte(scan, ' ');
    civil->day = scan_number(scan, 2, true);
    scan_byte(scan, ' ');
    scan_clock(scan, civil);
    scan_byte(scan, ' ');
    civil->year = scan_number(scan, 4, false);
}

bool
http_date_parse(struct slice text, int64_t now_at, int64_t *ret_at)
{
    struct scan scan = {.at = text.data, .end = text.size > 0 ? text.data + text.size : text.data};
    struct civil civil = {0};

    if (text.size == 0 || scan_letters(&scan) < 3) {
        return false;
    }
    if (scan_has(&scan, ',')) {
        scan_fixdate(&scan, now_at, &civil);
    } else {
        scan_asctime(&scan, &civil);
    }
    if (scan.is_bad || scan.at != scan.end || civil.day < 1 || civil.day > 31 || civil.hour > 23 ||
        civil.minute > 59 || civil.second > 60) {
        return false;
    }
    *ret_at = (days_of(civil.year, civil.month, civil.day) * SECONDS_A_DAY + civil.hour * 3600 +
               civil.minute * 60 + civil.second) *
              MS_A_SECOND;
    return true;
}

static bool
is_all_digits(struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return false;
        }
    }
    return value.size > 0;
}

static int64_t
seconds_of(struct slice value)
{
    int64_t seconds = 0;

    if (value.size > DIGITS_MAX) {
        return RETRY_AFTER_MAX_MS / MS_A_SECOND;
    }
    for (size_t i = 0; i < value.size; i++) {
        seconds = seconds * 10 + (value.data[i] - '0');
    }
    return seconds;
}

int64_t
retry_after_ms(struct slice value, int64_t now_at)
{
    int64_t wait_ms = 0;
    int64_t until_at;

    if (is_all_digits(value)) {
        wait_ms = seconds_of(value) * MS_A_SECOND;
    } else if (http_date_parse(value, now_at, &until_at)) {
        wait_ms = until_at - now_at;
    }
    if (wait_ms < 0) {
        return 0;
    }
    return wait_ms < RETRY_AFTER_MAX_MS ? wait_ms : RETRY_AFTER_MAX_MS;
}
