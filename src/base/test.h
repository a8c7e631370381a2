/*
 * Shorthand over cmocka for tables of cases, and arming of fault injection.
 * A test file includes only this, its room's header and libc.
 */
#ifndef NR_BASE_TEST_H
#define NR_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>

/* As assert_true, naming the case of a table that failed. */
#define CHECK_CASE(name, expr)                                               \
    do {                                                                     \
        if (!(expr))                                                         \
            fail_msg("%s:%d: case %s: %s", __FILE__, __LINE__, name, #expr); \
    } while (0)

#define NR_TEST(f) cmocka_unit_test(f)

#endif
