#include "archive/rhythm.h"

#include "base/date.h"
#include "base/test.h"

#include <stdlib.h>
#include <string.h>

#define WEEKS ((size_t)104)
#define HOURS (WEEKS * RHYTHM_WEEK)
#define DAY   ((size_t)24)

/* The first hour of the series is a Thursday, 00:00 UTC, as hour 0 is. */
#define BASE ((int64_t)RHYTHM_WEEK * 2400)

static uint64_t
next(uint64_t *seed) /* xorshift64* */
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545F4914F6CDD1D);
}

static double
uniform(uint64_t *seed)
{
    return (double)(next(seed) >> 11) / 9007199254740992.0;
}

/* Chance of lines in hour H of a series of KIND. */

enum kind {
    ALWAYS,
    OFFICE,
    SUMMER,
    NIGHTLY,
    WEEKLY,
    RARE,
    HALF,
    GROWING,
    SHRINKING,
    KINDS
};

static const char *const kind_names[KINDS] = { "24x7", "office",
    "office with summer time", "nightly job", "weekly job", "a line a week",
    "every other hour", "growing", "shrinking" };

static bool
is_office(size_t h, size_t shift)
{
    size_t hour = (h + shift) % 24, day = (h + shift) / 24 % 7;

    /* Thursday is 0: Saturday 2, Sunday 3 */
    return day != 2 && day != 3 && hour >= 8 && hour < 18;
}

static double
rate(enum kind k, size_t h)
{
    double age = (double)h / (double)HOURS;

    switch (k) {
    case ALWAYS:
        return 0.98;
    case OFFICE:
        return is_office(h, 0) ? 0.95 : 0.02;
    case SUMMER:
        return is_office(h, h / RHYTHM_WEEK % 52 < 30) ? 0.95 : 0;
    case NIGHTLY:
        return h % 24 == 3;
    case WEEKLY:
        return h % RHYTHM_WEEK == 50;
    case RARE:
        return 1.0 / RHYTHM_WEEK;
    case HALF:
        return 0.5;
    case GROWING:
        return age * age;
    case SHRINKING:
        return (1 - 0.7 * age) * (1 - 0.7 * age);
    case KINDS:
    default:
        return 0;
    }
}

struct series {
    uint8_t bits[HOURS / 8 + 1];
};

static void
make(struct series *s, enum kind k, uint64_t seed)
{
    memset(s, 0, sizeof(*s));
    for (size_t h = 0; h < HOURS; h++)
        if (uniform(&seed) < rate(k, h))
            s->bits[h / 8] |= (uint8_t)(1u << (h % 8));
}

static void
silence(struct series *s, size_t from, size_t to) /* [from, to) */
{
    for (size_t h = from; h < to && h < HOURS; h++)
        s->bits[h / 8] &= (uint8_t) ~(1u << (h % 8));
}

static struct rhythm
look(const struct series *s, size_t end, struct nr_arena *a)
{
    struct rhythm_series in = { s->bits, BASE, HOURS };
    struct rhythm r;

    assert_int_equal(rhythm_find(&in, BASE + (int64_t)end, a, &r), NR_OK);
    return r;
}

static bool
is_known(const struct rhythm *r, size_t day)
{
    return (r->days[day / 8] >> (day % 8) & 1) != 0;
}

/* Is [FROM, TO) inside of a gap, but for hours without expectation? */
static bool
is_found(const struct rhythm *r, size_t from, size_t to)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].from <= BASE + (int64_t)from &&
            r->v[i].to >= BASE + (int64_t)to - 1)
            return true;
    return false;
}

/* Nothing is missing in a series that nothing was taken from. */
static void
test_untouched(void **state)
{
    struct series *s = malloc(sizeof(*s));
    struct nr_arena a;

    (void)state;
    assert_non_null(s);
    nr_arena_init(&a, (size_t)1 << 24);
    for (unsigned k = 0; k < KINDS; k++)
        for (uint64_t seed = 1; seed <= 100; seed++) {
            struct rhythm r;

            make(s, (enum kind)k, seed);
            r = look(s, HOURS - 1, &a);
            if (r.n > 0)
                fail_msg("%s, seed %d: hours %d to %d are no gap (%f)",
                    kind_names[k], (int)seed, (int)(r.v[0].from - BASE),
                    (int)(r.v[0].to - BASE), r.v[0].surprise);
            nr_arena_reset(&a);
        }
    nr_arena_fini(&a);
    free(s);
}

/* A stretch with so many hours with lines in it is missed wherever it is
 * taken out, five weeks from both ends; of a weekly job a third of it, 14
 * weeks from them. */
#define MISSED 30.0

static void
test_taken_out(void **state)
{
    static const enum kind kinds[] = { ALWAYS, OFFICE, NIGHTLY, HALF, WEEKLY };
    struct series *s = malloc(sizeof(*s));
    struct nr_arena a;

    (void)state;
    assert_non_null(s);
    nr_arena_init(&a, (size_t)1 << 24);
    for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (uint64_t seed = 1; seed <= 100; seed++) {
            uint64_t at = seed + 1000;
            size_t edge = (size_t)(kinds[k] == WEEKLY ? 14 : 5) * RHYTHM_WEEK;
            size_t from = edge + (size_t)(next(&at) % (HOURS - 3 * edge));
            double sum = 0, need = kinds[k] == WEEKLY ? MISSED / 3 : MISSED;
            size_t to = from;
            struct rhythm r;

            make(s, kinds[k], seed);
            while (sum < need)
                sum += rate(kinds[k], to++);
            silence(s, from, to);
            r = look(s, HOURS - 1, &a);
            if (r.n != 1 || !is_found(&r, from, to))
                fail_msg("%s, seed %d: %d to %d taken, %d gaps",
                    kind_names[kinds[k]], (int)seed, (int)from, (int)to,
                    (int)r.n);
            for (size_t day = from / 24 + 1; day < to / 24; day++)
                CHECK_CASE(kind_names[kinds[k]], !is_known(&r, day));
            nr_arena_reset(&a);
        }
    nr_arena_fini(&a);
    free(s);
}

/* Monday 00:00 of week W; a series begins on a Thursday. */
static size_t
monday(size_t w)
{
    return w * RHYTHM_WEEK + 4 * DAY;
}

static void
test_cases(void **state)
{
    static const struct {
        const char *name;
        enum kind kind;
        size_t from, to; /* days from Monday of week 50 that are taken out */
        size_t end;      /* weeks in all */
        size_t gaps;
        bool stopped;
        int known;         /* a day from that Monday that is known; -1: none */
        int lost, lost_to; /* days from that Monday that are not */
    } cases[] = {
        { "office, a Wednesday", OFFICE, 2, 3, 104, 1, false, 1, 2, 3 },
        { "office, its weekend", OFFICE, 5, 7, 104, 0, false, 5, 0, 0 },
        { "office, a week of holidays", OFFICE, 0, 7, 104, 1, false, 8, 0, 7 },
        { "24x7, a day", ALWAYS, 2, 3, 104, 1, false, 1, 2, 3 },
        { "24x7, nothing", ALWAYS, 0, 0, 104, 0, false, 3, 0, 0 },
        { "nightly, two nights", NIGHTLY, 1, 3, 104, 0, false, 2, 0, 0 },
        { "nightly, ten nights", NIGHTLY, 1, 11, 104, 1, false, 0, 2, 10 },
        { "weekly, a day", WEEKLY, 1, 2, 104, 0, false, 1, 0, 0 },
        { "weekly, three weeks", WEEKLY, 0, 21, 104, 0, false, 9, 0, 0 },
        { "weekly, eight weeks", WEEKLY, 0, 56, 104, 1, false, -1, 7, 49 },
        { "a line a week, a week", RARE, 0, 7, 104, 0, false, -1, 0, 0 },
        { "24x7, stopped", ALWAYS, 0, 400, 104, 1, true, -1, 1, 300 },
        { "office, stopped", OFFICE, 0, 400, 104, 1, true, -1, 1, 300 },
        { "office, on Saturday", OFFICE, 5, 400, 50, 0, false, -1, 0, 0 },
        { "24x7, hours ago", ALWAYS, 0, 400, 50, 0, false, -1, 0, 0 },
    };
    struct series *s = malloc(sizeof(*s));
    struct nr_arena a;

    (void)state;
    assert_non_null(s);
    nr_arena_init(&a, (size_t)1 << 24);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t zero = monday(50);
        size_t end = cases[i].end * RHYTHM_WEEK - 1;
        struct rhythm r;

        if (cases[i].end == 50) /* some hours behind what is taken out */
            end = zero + cases[i].from * DAY + (cases[i].from ? 12 : 3);
        make(s, cases[i].kind, 7);
        silence(s, zero + cases[i].from * DAY, zero + cases[i].to * DAY);
        r = look(s, end, &a);
        CHECK_CASE(cases[i].name, r.n == cases[i].gaps);
        CHECK_CASE(cases[i].name, r.stopped == cases[i].stopped);
        if (cases[i].known >= 0)
            CHECK_CASE(cases[i].name,
                is_known(&r, zero / DAY + (size_t)cases[i].known));
        for (int d = cases[i].lost; d < cases[i].lost_to; d++)
            CHECK_CASE(cases[i].name, !is_known(&r, zero / DAY + (size_t)d));
        nr_arena_reset(&a);
    }
    nr_arena_fini(&a);
    free(s);
}

/* The day that is missing is named as missing, not the nights around it. */
static void
test_core(void **state)
{
    struct series *s = malloc(sizeof(*s));
    size_t day = monday(60) + DAY;
    struct nr_arena a;
    struct rhythm r;

    (void)state;
    assert_non_null(s);
    nr_arena_init(&a, (size_t)1 << 24);
    make(s, OFFICE, 3);
    for (size_t h = 0; h < HOURS; h++) /* no lines at night at all */
        if (!is_office(h, 0))
            silence(s, h, h + 1);
    silence(s, day, day + DAY);
    r = look(s, HOURS - 1, &a);
    assert_int_equal(r.n, 1);
    assert_true(r.v[0].core_from == BASE + (int64_t)day + 8);
    assert_true(r.v[0].core_to == BASE + (int64_t)day + 17);
    assert_true(r.v[0].expected > 8 && r.v[0].expected < 10);
    assert_true(r.v[0].from < r.v[0].core_from);
    assert_true(is_known(&r, day / DAY - 1) && is_known(&r, day / DAY + 1));
    assert_false(is_known(&r, day / DAY));
    nr_arena_fini(&a);
    free(s);
}

/* Too little to know a rhythm: days with lines are known, no others. */
static void
test_little(void **state)
{
    struct series *s = calloc(1, sizeof(*s));
    struct nr_arena a;
    struct rhythm r;

    (void)state;
    assert_non_null(s);
    nr_arena_init(&a, (size_t)1 << 24);
    r = look(s, HOURS - 1, &a);
    assert_true(r.first > r.last && r.n == 0);
    s->bits[3] = 1;            /* day 1 */
    s->bits[30 * DAY / 8] = 4; /* day 30 */
    r = look(s, HOURS - 1, &a);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.active, 2);
    for (size_t day = 0; day < HOURS / DAY; day++)
        assert_int_equal(is_known(&r, day), day == 1 || day == 30);
    /* an end before all, and one in the middle */
    r = look(s, 5, &a);
    assert_true(r.first > r.last);
    r = look(s, 24, &a);
    assert_int_equal(r.active, 1);
    nr_arena_fini(&a);
    free(s);
}

/* A device that began in 1970, for want of a clock. */
static void
test_epoch(void **state)
{
    struct series *s = malloc(sizeof(*s));
    struct nr_arena a;
    struct rhythm r;

    (void)state;
    assert_non_null(s);
    nr_arena_init(&a, (size_t)1 << 24);
    make(s, ALWAYS, 5);
    silence(s, 1, 40 * RHYTHM_WEEK);
    s->bits[0] |= 1;
    r = look(s, HOURS - 1, &a);
    assert_int_equal(r.n, 0);
    assert_false(is_known(&r, 100));
    assert_true(is_known(&r, 41 * 7));
    nr_arena_fini(&a);
    free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_untouched),
        NR_TEST(test_taken_out),
        NR_TEST(test_cases),
        NR_TEST(test_core),
        NR_TEST(test_little),
        NR_TEST(test_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
