/* error: each has a name, a text, a class and an exit code. */
#include "common/error.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

static const enum error errors[] = {
    OK,
#define ERROR(name, text, class) ERROR_##name,
#include "common/error.def"
#undef ERROR
};

Test(error, every_one_has_a_name_and_a_text)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        const char *text = error_text(errors[i]);
        cr_expect_gt(strlen(error_name(errors[i])), 0u);
        cr_assert_gt(strlen(text), 0u);
        cr_expect_neq(text[strlen(text) - 1], '.', "%s", text);
        for (size_t j = 0; j < i; j++)
            cr_expect_str_neq(error_name(errors[i]), error_name(errors[j]));
    }
}

struct row {
    enum error error;
    enum error_class class;
    enum exit_code exit_code;
};

Test(error, classes_and_exit_codes_are_those_of_the_design)
{
    static const struct row rows[] = {
        {OK, ERROR_CLASS_NONE, EXIT_CODE_DONE},
        {ERROR_FULL, ERROR_CLASS_RETRY, EXIT_CODE_LIMIT},
        {ERROR_UNREACHABLE, ERROR_CLASS_RETRY, EXIT_CODE_UNREACHABLE},
        {ERROR_CORRUPT, ERROR_CLASS_GIVE_UP, EXIT_CODE_STORE},
        {ERROR_DISK_FULL, ERROR_CLASS_GIVE_UP, EXIT_CODE_DISK_FULL},
        {ERROR_NOT_ALLOWED, ERROR_CLASS_GIVE_UP, EXIT_CODE_NOT_ALLOWED},
        {ERROR_CONFIG, ERROR_CLASS_GIVE_UP, EXIT_CODE_CONFIG},
        {ERROR_USAGE, ERROR_CLASS_GIVE_UP, EXIT_CODE_USAGE},
        {ERROR_TIMED_OUT, ERROR_CLASS_RETRY, EXIT_CODE_TIMED_OUT},
        {ERROR_INTERRUPTED, ERROR_CLASS_GIVE_UP, EXIT_CODE_INTERRUPTED},
        {ERROR_INVALID, ERROR_CLASS_GIVE_UP, EXIT_CODE_MALFORMED},
        {ERROR_BUG, ERROR_CLASS_BUG, EXIT_CODE_UNEXPECTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(error_class(rows[i].error), rows[i].class, "%s", error_name(rows[i].error));
        cr_expect_eq(error_exit_code(rows[i].error), rows[i].exit_code, "%s",
                     error_name(rows[i].error));
    }
}

Test(error, a_number_that_is_none_has_a_text_too)
{
    enum error none = (enum error)9999;
    cr_expect_gt(strlen(error_text(none)), 0u);
    cr_expect_gt(strlen(error_name(none)), 0u);
    cr_expect_neq(error_exit_code(none), EXIT_CODE_DONE);
}
