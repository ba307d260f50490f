#include "worker/extract_metadata.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define YEAR_MIN 1995
#define YEAR_MAX 2100
#define SCAN_BYTES_MAX 400

struct date {
    int year;
    int month;
    int day;
    bool has_time; /* with a zone */
    int hour;
    int minute;
    int second;
    int zone_minutes;
};

struct month_row {
    const char *opening; /* small; long enough to be this month only */
    int month;
};

/* How names of months begin in English, German, French, Spanish, Italian, Portuguese, Dutch,
 * Polish, Russian, Turkish and the Nordic languages. */
static const struct month_row month_rows[] = {
    {"jan", 1},  {"ene", 1},  {"gen", 1},  {"sty", 1},  {"янв", 1},  {"oca", 1},  {"jän", 1},
    {"feb", 2},  {"fév", 2},  {"fev", 2},  {"lut", 2},  {"фев", 2},  {"şub", 2},  {"mar", 3},
    {"mär", 3},  {"maa", 3},  {"mrt", 3},  {"мар", 3},  {"apr", 4},  {"avr", 4},  {"abr", 4},
    {"kwi", 4},  {"апр", 4},  {"nis", 4},  {"may", 5},  {"mai", 5},  {"mag", 5},  {"mei", 5},
    {"maj", 5},  {"мая", 5},  {"май", 5},  {"jun", 6},  {"juin", 6}, {"giu", 6},  {"cze", 6},
    {"июн", 6},  {"haz", 6},  {"jul", 7},  {"juil", 7}, {"lug", 7},  {"lip", 7},  {"июл", 7},
    {"tem", 7},  {"aug", 8},  {"aoû", 8},  {"aou", 8},  {"ago", 8},  {"sie", 8},  {"авг", 8},
    {"ağu", 8},  {"sep", 9},  {"set", 9},  {"wrz", 9},  {"сен", 9},  {"eyl", 9},  {"oct", 10},
    {"okt", 10}, {"ott", 10}, {"out", 10}, {"paź", 10}, {"окт", 10}, {"eki", 10}, {"nov", 11},
    {"lis", 11}, {"ноя", 11}, {"kas", 11}, {"dec", 12}, {"dez", 12}, {"dic", 12}, {"déc", 12},
    {"gru", 12}, {"дек", 12}, {"des", 12}, {"ara", 12},
};

struct scan {
    const uint8_t *at;
    const uint8_t *end;
};

static bool
is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_word(uint8_t byte)
{
    uint8_t lower = (uint8_t)(byte | 0x20);
    return (lower >= 'a' && lower <= 'z') || byte >= 0x80;
}

/* Reads up to digits_max digits; returns how many there were. */
static int
number_read(struct scan *scan, int digits_max, int *ret_number)
{
    int number = 0;
    int digits = 0;
    while (scan->at < scan->end && digits < digits_max && is_digit(*scan->at)) {
        number = number * 10 + (*scan->at++ - '0');
        digits++;
    }
    *ret_number = number;
    return digits;
}

static bool
byte_read(struct scan *scan, char byte)
{
    if (scan->at < scan->end && *scan->at == (uint8_t)byte) {
        scan->at++;
        return true;
    }
    return false;
}

static bool
date_is_valid(const struct date *date)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);
    int leap_day = is_leap && date->month == 2 && date->day == 29;
    return date->year >= YEAR_MIN && date->year <= YEAR_MAX && date->month >= 1 &&
           date->month <= 12 && date->day >= 1 && date->day - leap_day <= days[date->month - 1];
}

static void
spaces_skip(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == ',')) {
        scan->at++;
    }
}

struct zone_row {
    const char *name;
    int minutes;
};

static const struct zone_row zone_rows[] = {
    {"UTC", 0},    {"GMT", 0},    {"EST", -300}, {"EDT", -240}, {"CST", -360},
    {"CDT", -300}, {"MST", -420}, {"MDT", -360}, {"PST", -480}, {"PDT", -420},
    {"CET", 60},   {"CEST", 120}, {"BST", 60},
};

/* "Z", "+02:00", "-0500", "GMT". */
static bool
zone_read(struct scan *scan, int *ret_minutes)
{
    spaces_skip(scan);
    if (scan->at == scan->end) {
        return false;
    }
    if (*scan->at == 'Z' && (scan->end - scan->at == 1 || !is_word(scan->at[1]))) {
        *ret_minutes = 0;
        return true;
    }
    if (*scan->at == '+' || *scan->at == '-') {
        int sign = *scan->at == '-' ? -1 : 1;
        scan->at++;
        int hours = 0;
        int minutes = 0;
        if (number_read(scan, 2, &hours) != 2) {
            return false;
        }
        byte_read(scan, ':');
        number_read(scan, 2, &minutes);
        *ret_minutes = sign * (hours * 60 + minutes);
        return hours <= 14 && minutes < 60;
    }
    for (size_t i = 0; i < sizeof zone_rows / sizeof zone_rows[0]; i++) {
        size_t size = strlen(zone_rows[i].name);
        if ((size_t)(scan->end - scan->at) >= size &&
            memcmp(scan->at, zone_rows[i].name, size) == 0 &&
            ((size_t)(scan->end - scan->at) == size || !is_word(scan->at[size]))) {
            *ret_minutes = zone_rows[i].minutes;
            return true;
        }
    }
    return false;
}

/* A time of day with its zone behind a date; without a zone the day alone is known for sure. */
static void
time_read(struct scan scan, struct date *date)
{
    spaces_skip(&scan);
    if (scan.at < scan.end && (*scan.at == 'T' || *scan.at == 't')) {
        scan.at++;
    }
    if (scan.end - scan.at >= 3 && memcmp(scan.at, "at ", 3) == 0) {
        scan.at += 3;
    }
    int hour = 0;
    int minute = 0;
    int second = 0;
    int zone = 0;
    if (number_read(&scan, 2, &hour) == 0 || !byte_read(&scan, ':') ||
        number_read(&scan, 2, &minute) != 2) {
        return;
    }
    if (byte_read(&scan, ':')) {
        number_read(&scan, 2, &second);
        if (byte_read(&scan, '.')) {
            int fraction = 0;
            while (number_read(&scan, 9, &fraction) > 0) {
            }
        }
    }
    if (hour > 23 || minute > 59 || second > 60 || !zone_read(&scan, &zone)) {
        return;
    }
    date->has_time = true;
    date->hour = hour;
    date->minute = minute;
    date->second = second == 60 ? 59 : second;
    date->zone_minutes = zone;
}

/* From the proleptic Gregorian calendar's days since 1970-01-01 (Hinnant's algorithm). */
static void
date_from_seconds(int64_t seconds, struct date *date)
{
    int64_t days = seconds / 86400;
    int64_t rest = seconds % 86400;
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_part = (5 * day_of_year + 2) / 153;
    date->day = (int)(day_of_year - (153 * month_part + 2) / 5 + 1);
    date->month = (int)(month_part < 10 ? month_part + 3 : month_part - 9);
    date->year = (int)(year_of_era + era * 400 + (date->month <= 2));
    date->hour = (int)(rest / 3600);
    date->minute = (int)(rest / 60 % 60);
    date->second = (int)(rest % 60);
    date->zone_minutes = 0;
    date->has_time = true;
}

static bool
date_write(struct date date, char ret_date[DATE_TEXT_BYTES])
{
    if (!date_is_valid(&date)) {
        return false;
    }
    if (!date.has_time) {
        snprintf(ret_date, DATE_TEXT_BYTES, "%04d-%02d-%02d", date.year, date.month, date.day);
        return true;
    }
    /* With its own zone: the day that the page shows is part of what it says. */
    char zone[sizeof "+00:00"] = "Z";
    int minutes = date.zone_minutes < 0 ? -date.zone_minutes : date.zone_minutes;
    if (minutes > 0 && minutes < 24 * 60) {
        snprintf(zone, sizeof zone, "%c%02d:%02d", date.zone_minutes < 0 ? '-' : '+',
                 minutes / 60 % 24, minutes % 60);
    }
    snprintf(ret_date, DATE_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d%s", date.year, date.month,
             date.day, date.hour, date.minute, date.second, zone);
    return true;
}

/* 2021-10-11, 2021/10/11, 20211011, each with a time perhaps. */
static bool
year_first_read(struct scan *scan, struct date *date)
{
    struct scan try = *scan;
    if (number_read(&try, 4, &date->year) != 4 || date->year < YEAR_MIN || date->year > YEAR_MAX) {
        return false;
    }
    bool has_mark = byte_read(&try, '-') || byte_read(&try, '/') || byte_read(&try, '.');
    int month_digits = number_read(&try, 2, &date->month);
    if (month_digits == 0 || (!has_mark && month_digits != 2)) {
        return false;
    }
    if (has_mark && !byte_read(&try, '-') && !byte_read(&try, '/') && !byte_read(&try, '.')) {
        return false;
    }
    int day_digits = number_read(&try, 2, &date->day);
    if (day_digits == 0 || (!has_mark && day_digits != 2) ||
        (try.at < try.end && is_digit(*try.at)) || !date_is_valid(date)) {
        return false;
    }
    time_read(try, date);
    return true;
}

/* Seconds or milliseconds since 1970, alone in the text. */
static bool
epoch_read(const struct scan *scan, struct date *date)
{
    size_t digits = (size_t)(scan->end - scan->at);
    if (digits != 10 && digits != 13) {
        return false;
    }
    int64_t seconds = 0;
    for (size_t i = 0; i < digits; i++) {
        if (!is_digit(scan->at[i])) {
            return false;
        }
        seconds = i < 10 ? seconds * 10 + (scan->at[i] - '0') : seconds;
    }
    date_from_seconds(seconds, date);
    return date_is_valid(date);
}

static bool
is_month_first(struct slice language)
{
    return language.size == 0 || html_name_is(language, "en") || html_name_is(language, "en-us") ||
           html_name_is(language, "en_us");
}

/* 11.10.2021, 10/11/2021, 11-10-21 is not taken. */
static bool
numbers_read(struct scan *scan, struct slice language, struct date *date)
{
    struct scan try = *scan;
    int first = 0;
    int second = 0;
    if (number_read(&try, 2, &first) == 0 || try.at == try.end) {
        return false;
    }
    char mark = (char)*try.at;
    if (mark != '/' && mark != '.' && mark != '-') {
        return false;
    }
    try.at++;
    if (number_read(&try, 2, &second) == 0 || !byte_read(&try, mark) ||
        number_read(&try, 4, &date->year) != 4 || (try.at < try.end && is_digit(*try.at))) {
        return false;
    }
    bool month_first = first <= 12 && (second > 12 || (mark == '/' && is_month_first(language)));
    date->month = month_first ? first : second;
    date->day = month_first ? second : first;
    if (!date_is_valid(date)) {
        return false;
    }
    time_read(try, date);
    return true;
}

static int
month_find(const uint8_t *word, size_t size)
{
    uint8_t folded[16];
    size_t length = size < sizeof folded ? size : sizeof folded;
    for (size_t i = 0; i < length; i++) {
        folded[i] = word[i] >= 'A' && word[i] <= 'Z' ? (uint8_t)(word[i] | 0x20) : word[i];
        if (i > 0 && folded[i - 1] == 0xD0 && folded[i] >= 0x90 && folded[i] <= 0xAF) {
            folded[i - 1] = folded[i] < 0xA0 ? 0xD0 : 0xD1;
            folded[i] = (uint8_t)(folded[i] < 0xA0 ? folded[i] + 0x20 : folded[i] - 0x20);
        }
    }
    for (size_t i = 0; i < sizeof month_rows / sizeof month_rows[0]; i++) {
        size_t opening = strlen(month_rows[i].opening);
        if (length >= opening && memcmp(folded, month_rows[i].opening, opening) == 0) {
            return month_rows[i].month;
        }
    }
    return 0;
}

static void
word_skip(struct scan *scan)
{
    while (scan->at < scan->end && is_word(*scan->at)) {
        scan->at++;
    }
}

/* What may stand between the parts of a written date: spaces, commas, dots, "de", "of", "st". */
static void
filling_skip(struct scan *scan)
{
    static const char *const words[] = {"de ", "of ", "del ", "st", "nd", "rd", "th", "º", "er "};
    for (;;) {
        if (scan->at < scan->end && (*scan->at == ' ' || *scan->at == ',' || *scan->at == '.' ||
                                     *scan->at == '-' || *scan->at == '/')) {
            scan->at++;
            continue;
        }
        size_t i = 0;
        size_t count = sizeof words / sizeof words[0];
        for (; i < count; i++) {
            size_t size = strlen(words[i]);
            if ((size_t)(scan->end - scan->at) >= size && memcmp(scan->at, words[i], size) == 0) {
                scan->at += size;
                break;
            }
        }
        if (i == count) {
            return;
        }
    }
}

/* "October 11, 2021" at the month's name. */
static bool
month_first_read(struct scan *scan, struct date *date)
{
    struct scan try = *scan;
    const uint8_t *word = try.at;
    word_skip(&try);
    date->month = month_find(word, (size_t)(try.at - word));
    if (date->month == 0) {
        return false;
    }
    filling_skip(&try);
    if (number_read(&try, 2, &date->day) == 0) {
        return false;
    }
    filling_skip(&try);
    if (number_read(&try, 4, &date->year) != 4 || !date_is_valid(date)) {
        return false;
    }
    time_read(try, date);
    return true;
}

/* "11 October 2021" at the day. */
static bool
day_first_read(struct scan *scan, struct date *date)
{
    struct scan try = *scan;
    int digits = number_read(&try, 2, &date->day);
    if (digits == 0 || (try.at < try.end && is_digit(*try.at))) {
        return false;
    }
    filling_skip(&try);
    const uint8_t *word = try.at;
    word_skip(&try);
    date->month = month_find(word, (size_t)(try.at - word));
    if (date->month == 0) {
        return false;
    }
    filling_skip(&try);
    if (number_read(&try, 4, &date->year) != 4 || !date_is_valid(date)) {
        return false;
    }
    time_read(try, date);
    return true;
}

bool
date_find(struct slice text, struct slice language, char ret_date[DATE_TEXT_BYTES])
{
    size_t size = text.size < SCAN_BYTES_MAX ? text.size : SCAN_BYTES_MAX;
    struct scan scan = {.at = text.data, .end = text.data + size};
    struct date date = {0};
    if (epoch_read(&scan, &date)) {
        return date_write(date, ret_date);
    }
    while (scan.at < scan.end) {
        date = (struct date){0};
        if (is_digit(*scan.at)) {
            if (year_first_read(&scan, &date) || numbers_read(&scan, language, &date) ||
                day_first_read(&scan, &date)) {
                return date_write(date, ret_date);
            }
            while (scan.at < scan.end && is_digit(*scan.at)) {
                scan.at++;
            }
        } else if (is_word(*scan.at)) {
            if (month_first_read(&scan, &date)) {
                return date_write(date, ret_date);
            }
            word_skip(&scan);
        } else {
            scan.at++;
        }
    }
    return false;
}

bool
date_find_in_url(struct slice url, char ret_date[DATE_TEXT_BYTES])
{
    struct scan scan = {.at = url.data, .end = url.data + url.size};
    while (scan.at < scan.end) {
        struct date date = {0};
        bool is_edge = *scan.at == '/' || *scan.at == '-' || *scan.at == '_';
        scan.at++;
        if (!is_edge || scan.end - scan.at < 8 || !is_digit(*scan.at)) {
            continue;
        }
        /* Years before 2000 and numbers without marks are mostly identifiers here. */
        if (scan.at[4] != '/' && scan.at[4] != '-') {
            continue;
        }
        if (year_first_read(&scan, &date) && date.year >= 2000) {
            date.has_time = false;
            return date_write(date, ret_date);
        }
    }
    return false;
}
