/* What was saved in the middle of a log goes on as if nothing had been. */
#include "base/test.h"

#include "logline/logline.h"

#include <string.h>

#define LAST_S INT64_C(1490000000) /* 2017-03-20 */

/* Formats whose lines lean on those before: years, heads, inherited times. */
static const char *const logs[] = {
    "Nov  2 03:04:05 gw su: a\nDec 31 23:59:59 gw su: b\n"
    "Jan  1 00:00:00 gw su: c\n  at no time\nFeb 28 01:00:00 gw su: d\n",
    "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.resp_h\n"
    "1483100000.5\tCx\t10.0.0.1\t192.0.2.1\n"
    "1483100001.5\tCy\t10.0.0.2\t192.0.2.2\n",
    "2016-01-02 03:04:05 INFO app x\n\tat a.b.c\n2016-01-02 03:04:06 ERROR y\n",
    "192.0.2.1 - - [02/Jan/2016:03:04:05 +0900] \"GET /a HTTP/1.1\" 200 12\n"
    "192.0.2.2 - - [02/Jan/2016:03:04:06 +0900] \"GET /b HTTP/1.1\" 403 9\n",
};

static struct nr_logfile *
open_log(struct nr_bytes head)
{
    struct nr_logfile_options o = { .name = "a.log",
        .zone_east_s = 9 * INT64_C(3600),
        .last_s = LAST_S };
    struct nr_logfile *f;

    assert_int_equal(nr_logfile_new(&o, &f, NULL), NR_OK);
    nr_logfile_learn(f, head);
    return f;
}

static struct nr_bytes
take_line(struct nr_bytes *text)
{
    const uint8_t *lf = memchr(text->p, '\n', text->n);
    size_t n = lf ? (size_t)(lf - text->p) : text->n;
    struct nr_bytes line = nr_bytes_sub(*text, 0, n);

    *text = nr_bytes_sub(*text, lf ? n + 1 : n, text->n);
    return line;
}

static void
goes_on_behind_each_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(logs) / sizeof(*logs); i++) {
        struct nr_bytes all = { (const uint8_t *)logs[i], strlen(logs[i]) };
        struct nr_bytes text = all;
        struct nr_logfile *one = open_log(all);

        while (text.n > 0) {
            struct nr_logfile *two = open_log(all);
            uint8_t x[NR_LOGFILE_STATE], y[NR_LOGFILE_STATE];
            struct nr_bytes line = take_line(&text);
            struct nr_record a, b;

            nr_logfile_save(one, x);
            CHECK_CASE(logs[i], nr_logfile_restore(two, x));
            nr_logfile_save(two, y);
            assert_memory_equal(x, y, sizeof(x));
            nr_logline_parse(one, line, &a);
            nr_logline_parse(two, line, &b);
            CHECK_CASE(logs[i], a.time_us == b.time_us);
            CHECK_CASE(logs[i], a.inherited == b.inherited);
            CHECK_CASE(logs[i], a.source == b.source);
            CHECK_CASE(logs[i], a.action == b.action);
            CHECK_CASE(logs[i], a.src.p == b.src.p && a.src.n == b.src.n);
            nr_logfile_save(one, x);
            nr_logfile_save(two, y);
            assert_memory_equal(x, y, sizeof(x));
            nr_logfile_free(two);
        }
        nr_logfile_free(one);
    }
}

/* Octets of nothing are refused, and change nothing. */
static void
refuses_foreign_octets(void **state)
{
    struct nr_bytes all = { (const uint8_t *)logs[0], strlen(logs[0]) };
    struct nr_logfile *f = open_log(all);
    uint8_t before[NR_LOGFILE_STATE], after[NR_LOGFILE_STATE];
    uint8_t odd[NR_LOGFILE_STATE];

    (void)state;
    nr_logfile_save(f, before);
    memset(odd, 0xff, sizeof(odd));
    assert_false(nr_logfile_restore(f, odd));
    nr_logfile_save(f, after);
    assert_memory_equal(before, after, sizeof(after));
    nr_logfile_free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(goes_on_behind_each_line),
        NR_TEST(refuses_foreign_octets),
    };

    return cmocka_run_group_tests_name("logline state", tests, NULL, NULL);
}
