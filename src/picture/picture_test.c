#include "base/buf.h"
#include "base/test.h"
#include "picture/picture.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY ((size_t)64 << 20)

static uint64_t
rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static struct nr_str
id(struct nr_arena *a, const char *what, uint64_t i)
{
    char *p = nr_new(a, char, 32);

    (void)snprintf(p, 32, "%s--%06llu", what, (unsigned long long)i);
    return nr_str_of(p);
}

/* Facts of a made-up circle, so that the right numbers are counted here. */
enum fact_kind { MEMBER, READER, REPORT, SIGHTING };

struct fact {
    enum fact_kind kind;

    union {
        struct nr_extent_member member;
        struct nr_extent_reader reader;
        struct nr_extent_report report;
        struct nr_extent_sighting sighting;
    } u;
};

struct facts {
    struct fact v[4096];
    size_t n;
};

static void
add(struct facts *f, struct fact x)
{
    assert_true(f->n < sizeof(f->v) / sizeof(f->v[0]));
    f->v[f->n++] = x;
}

static struct nr_extent *
fold(const struct facts *f)
{
    struct nr_extent *x = nr_extent_create(MEMORY);

    assert_non_null(x);
    for (size_t i = 0; i < f->n; i++) {
        const struct fact *p = &f->v[i];

        switch (p->kind) {
        case MEMBER:
            assert_int_equal(nr_extent_add_member(x, &p->u.member), NR_OK);
            break;
        case READER:
            assert_int_equal(nr_extent_add_reader(x, &p->u.reader), NR_OK);
            break;
        case REPORT:
            assert_int_equal(nr_extent_add_report(x, &p->u.report), NR_OK);
            break;
        case SIGHTING:
            assert_int_equal(nr_extent_add_sighting(x, &p->u.sighting), NR_OK);
            break;
        }
    }
    return x;
}

static void
join(struct facts *f, struct nr_str m, const char *sector)
{
    add(f,
        (struct fact){ MEMBER,
            { .member = { .id = m,
                  .sector = nr_str_of(sector),
                  .size = NR_STR("11-100"),
                  .version_us = 1 } } });
    add(f,
        (struct fact){ READER,
            { .reader = { .collection = NR_STR("c"),
                  .member = m,
                  .version_us = 1 } } });
}

static struct fact
says(struct nr_str m, struct nr_str indicator, int64_t version,
    enum nr_extent_answer a, double coverage)
{
    struct nr_extent_sighting s = { .member = m,
        .indicator = indicator,
        .version_us = version,
        .answer = a,
        .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE,
        .coverage = coverage };
    struct fact f = { SIGHTING, { .sighting = s } };

    if (a == NR_EXTENT_SEEN) {
        f.u.sighting.lines = 3;
        f.u.sighting.first_s = 1000000 + version;
        f.u.sighting.last_s = 2000000 + version;
    }
    return f;
}

static const struct nr_str two[] = { { "i1", 2 }, { "i2", 2 } };

static struct fact
a_report(void)
{
    return (struct fact){ REPORT,
        { .report = { .id = NR_STR("report--1"),
              .name = NR_STR("one"),
              .collection = NR_STR("c"),
              .version_us = 1,
              .published_s = 500,
              .indicators = two,
              .n = 2 } } };
}

/* One organisation, two indicators: the rule of the answer. */
static void
test_answer_rule(void **state)
{
    static const struct {
        const char *name;
        enum nr_extent_answer a, b, want;
        double ca, cb;
        uint64_t denied;
    } cases[] = {
        { "one seen", NR_EXTENT_SEEN, NR_EXTENT_CANNOT_SAY, NR_EXTENT_SEEN, 0,
            0, 0 },
        { "clean", NR_EXTENT_NOT_SEEN, NR_EXTENT_NOT_SEEN, NR_EXTENT_NOT_SEEN,
            0.437, 0.515, 0 },
        { "mean below", NR_EXTENT_NOT_SEEN, NR_EXTENT_CANNOT_SAY,
            NR_EXTENT_CANNOT_SAY, 0.5, 0.09, 0 },
        { "mean at the limit", NR_EXTENT_NOT_SEEN, NR_EXTENT_CANNOT_SAY,
            NR_EXTENT_NOT_SEEN, 0.5, 0.1, 0 },
        { "denied counts as not seen", NR_EXTENT_DENIED, NR_EXTENT_NOT_SEEN,
            NR_EXTENT_NOT_SEEN, 1, 1, 1 },
        { "denied and seen", NR_EXTENT_DENIED, NR_EXTENT_SEEN, NR_EXTENT_SEEN,
            1, 1, 0 },
        { "half an answer", NR_EXTENT_SEEN, NR_EXTENT_UNANSWERED,
            NR_EXTENT_UNANSWERED, 1, 1, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_extent_result r;
        struct facts *f = calloc(1, sizeof(*f));
        struct nr_extent *x;
        struct nr_arena a;

        assert_non_null(f);
        nr_arena_init(&a, MEMORY);
        join(f, NR_STR("m"), "energy");
        add(f, a_report());
        add(f, says(NR_STR("m"), two[0], 7, cases[i].a, cases[i].ca));
        if (cases[i].b != NR_EXTENT_UNANSWERED)
            add(f, says(NR_STR("m"), two[1], 7, cases[i].b, cases[i].cb));
        x = fold(f);
        assert_int_equal(nr_extent_of(x, NR_STR("report--1"), true, &a, &r),
            NR_OK);
        CHECK_CASE(cases[i].name, r.n_orgs == 1);
        CHECK_CASE(cases[i].name, r.orgs[0].answer == cases[i].want);
        CHECK_CASE(cases[i].name,
            r.total.n[NR_EXTENT_C_DENIED] == cases[i].denied);
        CHECK_CASE(cases[i].name,
            r.total.n[NR_EXTENT_C_ANSWERED] ==
                (cases[i].want != NR_EXTENT_UNANSWERED));
        nr_extent_destroy(x);
        nr_arena_fini(&a);
        free(f);
    }
}

static void
test_versions(void **state)
{
    struct nr_extent_result r;
    struct facts *f = calloc(1, sizeof(*f));
    struct nr_extent *x;
    struct nr_arena a;

    (void)state;
    assert_non_null(f);
    nr_arena_init(&a, MEMORY);
    join(f, NR_STR("m"), "energy");
    join(f, NR_STR("left"), "energy");
    add(f,
        (struct fact){ MEMBER,
            { .member = { .id = NR_STR("left"),
                  .version_us = 2,
                  .gone = true } } });
    add(f, a_report());
    add(f, says(NR_STR("m"), two[0], 9, NR_EXTENT_SEEN, 1));
    add(f, says(NR_STR("m"), two[0], 8, NR_EXTENT_NOT_SEEN, 1));
    add(f, says(NR_STR("m"), two[1], 8, NR_EXTENT_SEEN, 1));
    add(f, says(NR_STR("m"), two[1], 9, NR_EXTENT_NOT_SEEN, 1));
    x = fold(f);
    assert_int_equal(nr_extent_of(x, NR_STR("report--1"), true, &a, &r), NR_OK);
    assert_int_equal(r.total.n[NR_EXTENT_C_ASKED], 1);
    assert_int_equal(r.total.n[NR_EXTENT_C_SEEN], 1);
    assert_int_equal(r.total.earliest_s, 1000009);
    assert_int_equal(r.total.latest_s, 2000009);
    assert_int_equal(r.orgs[0].lines, 3);
    assert_int_equal(nr_extent_of(x, NR_STR("report--2"), true, &a, &r),
        NR_ENOTFOUND);
    nr_extent_destroy(x);
    nr_arena_fini(&a);
    free(f);
}

static bool
same_row(const struct nr_extent_row *a, const struct nr_extent_row *b)
{
    return nr_str_eq(a->sector, b->sector) &&
        memcmp(a->n, b->n, sizeof(a->n)) == 0 &&
        memcmp(a->hidden, b->hidden, sizeof(a->hidden)) == 0 &&
        a->earliest_s == b->earliest_s && a->latest_s == b->latest_s;
}

static const char *const sectors[] = { "energy", "finance", "defence",
    "healthcare", "transport" };

static void
make_circle(struct facts *f, struct nr_arena *a, uint64_t *seed)
{
    size_t n = 20 + rnd(seed) % 80;

    for (size_t i = 0; i < n; i++) {
        struct nr_str m = id(a, "identity", i);

        join(f, m, sectors[rnd(seed) % (1 + i % 5)]);
        for (size_t k = 0; k < 6; k++)
            add(f,
                says(m, two[rnd(seed) % 2], (int64_t)(rnd(seed) % 3),
                    (enum nr_extent_answer)(rnd(seed) % 4),
                    (double)(rnd(seed) % 101) / 100));
    }
    add(f, a_report());
}

/* The order of facts, and saying one twice, changes nothing. */
static void
test_order(void **state)
{
    uint64_t seed = 88172645463325252U;

    (void)state;
    for (int round = 0; round < 60; round++) {
        struct nr_extent_result r[2] = { 0 };
        struct facts *f = calloc(1, sizeof(*f));
        struct nr_extent *x[2];
        struct nr_arena a;
        bool full = round % 2;

        assert_non_null(f);
        nr_arena_init(&a, MEMORY);
        make_circle(f, &a, &seed);
        x[0] = fold(f);
        for (size_t i = 0, n = f->n; i < n / 10; i++)
            add(f, f->v[rnd(&seed) % n]);
        for (size_t i = f->n; i > 1; i--) {
            size_t k = rnd(&seed) % i;
            struct fact t = f->v[i - 1];

            f->v[i - 1] = f->v[k];
            f->v[k] = t;
        }
        x[1] = fold(f);
        for (int i = 0; i < 2; i++)
            assert_int_equal(nr_extent_of(x[i], NR_STR("report--1"), full, &a,
                                 &r[i]),
                NR_OK);
        assert_true(same_row(&r[0].total, &r[1].total));
        assert_int_equal(r[0].n_sectors, r[1].n_sectors);
        for (size_t i = 0; i < r[0].n_sectors; i++)
            assert_true(same_row(&r[0].sectors[i], &r[1].sectors[i]));
        assert_int_equal(r[0].n_orgs, full ? r[1].n_orgs : 0);
        nr_extent_destroy(x[0]);
        nr_extent_destroy(x[1]);
        nr_arena_fini(&a);
        free(f);
    }
}

/* --- a second opinion on withholding: ranks over the reals ------------ */

#define CELLS_MAX 60

static size_t
rank(double m[][CELLS_MAX], size_t rows, size_t cols)
{
    size_t done = 0;

    for (size_t c = 0; c < cols && done < rows; c++) {
        size_t p = done;

        for (size_t r = done; r < rows; r++)
            if ((m[r][c] < 0 ? -m[r][c] : m[r][c]) >
                (m[p][c] < 0 ? -m[p][c] : m[p][c]))
                p = r;
        if (m[p][c] < 1e-9 && m[p][c] > -1e-9)
            continue;
        for (size_t k = 0; k < cols; k++) {
            double t = m[done][k];

            m[done][k] = m[p][k];
            m[p][k] = t;
        }
        for (size_t r = done + 1; r < rows; r++) {
            double q = m[r][c] / m[done][c];

            for (size_t k = c; k < cols; k++)
                m[r][k] -= q * m[done][k];
        }
        done++;
    }
    return done;
}

/* The sums of a table over its hidden cells; returns how many. */
static size_t
sums(double m[][CELLS_MAX], const struct nr_extent_row *rows, size_t n)
{
    size_t k = 0;

    for (size_t r = 0; r < n; r++, k++)
        for (size_t c = NR_EXTENT_C_ANSWERED; c <= NR_EXTENT_C_CANNOT_SAY; c++)
            if (rows[r].hidden[c])
                m[k][r * NR_EXTENT_CELLS + c] = c == NR_EXTENT_C_ANSWERED ? -1
                                                                          : 1;
    for (size_t c = 0; c < NR_EXTENT_CELLS; c++, k++)
        for (size_t r = 0; r < n; r++)
            if (rows[r].hidden[c])
                m[k][r * NR_EXTENT_CELLS + c] = r ? 1 : -1;
    return k;
}

static void
check_hidden(const struct nr_extent_row *rows, size_t n)
{
    static double m[32][CELLS_MAX], copy[32][CELLS_MAX];
    size_t k, cells = n * NR_EXTENT_CELLS, base;

    memset(m, 0, sizeof(m));
    k = sums(m, rows, n);
    memcpy(copy, m, sizeof(m));
    base = rank(copy, k, cells);
    for (size_t i = 0; i < cells; i++) {
        if (!rows[i / NR_EXTENT_CELLS].hidden[i % NR_EXTENT_CELLS])
            continue;
        memcpy(copy, m, sizeof(m));
        copy[k][i] = 1;
        assert_int_equal(rank(copy, k + 1, cells), base + 1);
    }
}

static void
test_withholding(void **state)
{
    uint64_t seed = 1442695040888963407U;

    (void)state;
    for (int round = 0; round < 400; round++) {
        struct nr_extent_row rows[7] = { 0 }, before[7];
        size_t n = 1 + rnd(&seed) % 6;
        struct nr_arena a;

        nr_arena_init(&a, MEMORY);
        for (size_t r = 1; r <= n; r++) {
            uint64_t *v = rows[r].n;

            v[NR_EXTENT_C_SEEN] = rnd(&seed) % 12;
            v[NR_EXTENT_C_NOT_SEEN] = rnd(&seed) % 30;
            v[NR_EXTENT_C_CANNOT_SAY] = rnd(&seed) % 9;
            v[NR_EXTENT_C_ANSWERED] = v[NR_EXTENT_C_SEEN] +
                v[NR_EXTENT_C_NOT_SEEN] + v[NR_EXTENT_C_CANNOT_SAY];
            v[NR_EXTENT_C_ASKED] = v[NR_EXTENT_C_ANSWERED] + rnd(&seed) % 3;
            v[NR_EXTENT_C_DENIED] = v[NR_EXTENT_C_NOT_SEEN] / 4;
            rows[r].earliest_s = 90000;
            rows[r].latest_s = 180000;
            for (size_t c = 0; c < NR_EXTENT_CELLS; c++)
                rows[0].n[c] += v[c];
        }
        memcpy(before, rows, sizeof(rows));
        assert_int_equal(nr_extent_hide(&rows[0], &rows[1], n, &a), NR_OK);
        for (size_t r = 0; r <= n; r++)
            for (size_t c = 0; c < NR_EXTENT_CELLS; c++) {
                if (before[r].n[c] < NR_EXTENT_K)
                    assert_true(rows[r].hidden[c]);
                assert_int_equal(rows[r].n[c],
                    rows[r].hidden[c] ? 0 : before[r].n[c]);
            }
        for (size_t r = 1; r <= n; r++)
            assert_int_equal(rows[r].earliest_s,
                rows[r].hidden[NR_EXTENT_C_SEEN] ? NR_TIME_NONE : 86400);
        check_hidden(rows, n + 1);
        nr_arena_fini(&a);
    }
}

/* Large cells everywhere: nothing is withheld. */
static void
test_nothing_to_withhold(void **state)
{
    struct nr_extent_row rows[3] = { 0 };
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, MEMORY);
    for (size_t r = 1; r < 3; r++) {
        const uint64_t v[NR_EXTENT_CELLS] = { 40, 30, 10, 10, 10, 6 };

        memcpy(rows[r].n, v, sizeof(v));
        for (size_t c = 0; c < NR_EXTENT_CELLS; c++)
            rows[0].n[c] += v[c];
    }
    assert_int_equal(nr_extent_hide(&rows[0], &rows[1], 2, &a), NR_OK);
    for (size_t r = 0; r < 3; r++)
        for (size_t c = 0; c < NR_EXTENT_CELLS; c++)
            assert_false(rows[r].hidden[c]);
    assert_int_equal(rows[0].n[NR_EXTENT_C_DENIED], 12);
    nr_arena_fini(&a);
}

/* Two organisations in JSON, as a coordinator and as a member read it. */
static void
test_json(void **state)
{
    static const char *const want[] = {
        "{\"report\":\"report--1\",\"name\":\"one\",\"collection\":\"c\","
        "\"published\":null,\"asked\":null,\"answered\":null,\"seen\":null,"
        "\"not_seen\":null,\"cannot_say\":null,\"denied\":null,"
        "\"earliest\":null,\"latest\":null,\"sectors\":[{\"sector\":"
        "\"energy\",\"asked\":null,\"answered\":null,\"seen\":null,"
        "\"not_seen\":null,\"cannot_say\":null,\"denied\":null,"
        "\"earliest\":null,\"latest\":null}]}",
        "{\"report\":\"report--1\",\"name\":\"one\",\"collection\":\"c\","
        "\"published\":null,\"asked\":1,\"answered\":1,\"seen\":1,"
        "\"not_seen\":0,\"cannot_say\":0,\"denied\":0,"
        "\"earliest\":\"1970-01-12T13:46:41Z\","
        "\"latest\":\"1970-01-24T03:33:21Z\",\"sectors\":[{\"sector\":"
        "\"energy\",\"asked\":1,\"answered\":1,\"seen\":1,\"not_seen\":0,"
        "\"cannot_say\":0,\"denied\":0,"
        "\"earliest\":\"1970-01-12T13:46:41Z\","
        "\"latest\":\"1970-01-24T03:33:21Z\"}],\"members\":[{\"member\":"
        "\"m\",\"sector\":\"energy\",\"size\":\"11-100\",\"answer\":"
        "\"seen\",\"denied\":false,\"coverage\":0.75,\"lines\":3,\"first\":"
        "\"1970-01-12T13:46:41Z\",\"last\":\"1970-01-24T03:33:21Z\"}]}",
    };
    struct facts *f = calloc(1, sizeof(*f));
    struct fact report = a_report();
    struct nr_extent *x;

    (void)state;
    assert_non_null(f);
    report.u.report.published_s = NR_TIME_NONE;
    join(f, NR_STR("m"), "energy");
    add(f, report);
    add(f, says(NR_STR("m"), two[0], 1, NR_EXTENT_SEEN, 0.5));
    add(f, says(NR_STR("m"), two[1], 1, NR_EXTENT_NOT_SEEN, 1));
    x = fold(f);
    for (int full = 0; full < 2; full++) {
        struct nr_extent_result r;
        struct nr_json_out o;
        struct nr_arena a;
        struct nr_buf b;

        nr_arena_init(&a, MEMORY);
        nr_buf_init(&b, MEMORY);
        assert_int_equal(nr_extent_of(x, NR_STR("report--1"), full, &a, &r),
            NR_OK);
        nr_json_out_init(&o, &b);
        nr_extent_put_json(&o, &r);
        assert_int_equal(nr_json_out_end(&o), NR_OK);
        assert_string_equal(nr_buf_cstr(&b), want[full]);
        nr_buf_fini(&b);
        nr_arena_fini(&a);
    }
    nr_extent_destroy(x);
    free(f);
}

static void
test_bad_facts(void **state)
{
    struct nr_extent *x = nr_extent_create(MEMORY);
    struct nr_extent_sighting s =
        says(NR_STR("m"), two[0], 1, NR_EXTENT_SEEN, 1).u.sighting;

    (void)state;
    assert_non_null(x);
    s.coverage = 1.5;
    assert_int_equal(nr_extent_add_sighting(x, &s), NR_EFORMAT);
    s.coverage = 0.0 / 1.0;
    s.answer = NR_EXTENT_UNANSWERED;
    assert_int_equal(nr_extent_add_sighting(x, &s), NR_EFORMAT);
    assert_int_equal(nr_extent_add_member(x, &(struct nr_extent_member){ 0 }),
        NR_EFORMAT);
    nr_extent_destroy(x);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_answer_rule),
        NR_TEST(test_versions),
        NR_TEST(test_order),
        NR_TEST(test_withholding),
        NR_TEST(test_nothing_to_withhold),
        NR_TEST(test_json),
        NR_TEST(test_bad_facts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
