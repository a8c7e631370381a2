#include "archive/run.h"

#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS ((size_t)20000)

static uint64_t
next(uint64_t *seed) /* xorshift64* */
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545F4914F6CDD1D);
}

struct pair {
    uint64_t key;
    uint32_t segment;
};

static int
by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->segment > y->segment) - (x->segment < y->segment);
}

/* What stands in a run: ascending pairs of each class. */
struct content {
    size_t segments;
    struct pair *v[SEG_CLASSES];
    size_t n[SEG_CLASSES];
};

static uint64_t
draw(enum seg_class c, uint64_t *seed)
{
    uint64_t r = next(seed);

    if (c == SEG_V4) /* networks, as logs have them */
        return r % 3 ? UINT64_C(0x0a000000) + r % 5000 : r & UINT32_MAX;
    if (c == SEG_V6)
        return r % 2 ? UINT64_C(0x20010db800000000) + r % 300 : r;
    return r >> (64 - SEG_NAME_BITS);
}

static struct content
fill(size_t segments, uint64_t seed)
{
    struct content c = { .segments = segments };

    for (unsigned k = 0; k < SEG_CLASSES; k++) {
        c.v[k] = calloc(KEYS, sizeof(struct pair));
        assert_non_null(c.v[k]);
        for (size_t i = 0; i < KEYS;) {
            uint64_t key = draw(k, &seed);
            size_t copies = next(&seed) % 8 ? 1 : next(&seed) % 6 + 1;

            for (; copies > 0 && i < KEYS; copies--)
                c.v[k][i++] = (struct pair){ key,
                    (uint32_t)(next(&seed) % segments) };
        }
        qsort(c.v[k], KEYS, sizeof(struct pair), by_key);
        for (size_t i = 0; i < KEYS; i++)
            if (i == 0 || by_key(&c.v[k][i - 1], &c.v[k][i]) != 0)
                c.v[k][c.n[k]++] = c.v[k][i];
    }
    return c;
}

static void
empty(struct content *c)
{
    for (unsigned k = 0; k < SEG_CLASSES; k++)
        free(c->v[k]);
}

/* The octets of a run of C; to be freed. */
static struct nr_bytes
write_run(const struct content *c)
{
    char dir[] = "/tmp/noroshi-run-XXXXXX", path[64];
    struct run_covered *rows = calloc(c->segments, sizeof(*rows));
    struct run_writer *w = NULL;
    struct nr_diag d = { 0 };
    uint64_t size = 0;
    uint8_t *p;
    int fd;

    assert_non_null(rows);
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < c->segments; i++)
        rows[i] = (struct run_covered){ i + 1, i * 7919 };
    assert_int_equal(run_writer_open(dir, 5, rows, c->segments, NULL, &w, &d),
        NR_OK);
    for (unsigned k = 0; k < SEG_CLASSES; k++) {
        assert_int_equal(run_writer_class(w, k, run_shift(k, c->n[k]), &d),
            NR_OK);
        for (size_t i = 0; i < c->n[k]; i++)
            assert_int_equal(run_writer_put(w, c->v[k][i].key,
                                 c->v[k][i].segment, &d),
                NR_OK);
    }
    assert_int_equal(run_writer_publish(w, &size, &d), NR_OK);
    run_writer_close(w);
    (void)snprintf(path, sizeof(path), "%s/0000000000000005.run", dir);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    p = malloc(size + 1);
    assert_non_null(p);
    assert_int_equal(read(fd, p, size + 1), (ssize_t)size);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    free(rows);
    return (struct nr_bytes){ p, size };
}

struct seen {
    bool segment[RUN_SEGMENTS_MAX];
};

static void
see(void *ctx, uint32_t ordinal)
{
    struct seen *s = ctx;

    s->segment[ordinal] = true;
}

/* Whatever stands in [LO, HI] must be told. Returns whether more was. */
static bool
look(const struct run *r, const struct content *c, enum seg_class k,
    struct run_place *at, uint64_t lo, uint64_t hi)
{
    struct seen s = { 0 };
    struct pair first = { lo, 0 };
    struct nr_diag d = { 0 };
    size_t from = 0, n = c->n[k];
    bool told = false, real = false;

    assert_int_equal(run_look(r, k, at, lo, hi, see, &s, &d), NR_OK);
    while (n > 0) {
        size_t half = n / 2;

        if (by_key(&c->v[k][from + half], &first) < 0) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    for (; from < c->n[k] && c->v[k][from].key <= hi; from++) {
        assert_true(s.segment[c->v[k][from].segment]);
        real = true;
    }
    for (size_t i = 0; i < c->segments; i++)
        told |= s.segment[i];
    return told && !real;
}

static void
test_tells_all(void **unused)
{
    static const size_t segments[] = { 1, 2, 8, 61, 62, 74, 512, 4096 };

    (void)unused;
    for (size_t t = 0; t < sizeof(segments) / sizeof(*segments); t++) {
        struct content c = fill(segments[t], t + 1);
        struct nr_bytes octets = write_run(&c);
        struct run *r = NULL;
        struct nr_diag d = { 0 };
        uint64_t seed = t + 99;

        assert_int_equal(run_open_mem(octets, "r", &r, &d), NR_OK);
        assert_int_equal(run_verify(r, &d), NR_OK);
        assert_int_equal(run_number(r), 5);
        assert_int_equal(run_covers(r), segments[t]);
        for (size_t i = 0; i < segments[t]; i++) {
            assert_int_equal(run_covered(r, i).seq, i + 1);
            assert_int_equal(run_covered(r, i).sum, i * 7919);
        }
        for (unsigned k = 0; k < SEG_CLASSES; k++) {
            struct run_place up = { 0 }, any = { 0 };
            size_t wrong = 0;

            for (size_t i = 0; i < c.n[k]; i += 3)
                (void)look(r, &c, k, &up, c.v[k][i].key, c.v[k][i].key);
            for (size_t i = 0; i < 4000; i++) { /* in any order, and ranges */
                uint64_t lo = draw(k, &seed);
                uint64_t hi = lo + (i % 2 ? 0 : next(&seed) % 4096);

                wrong += look(r, &c, k, &any, lo, hi < lo ? lo : hi);
            }
            CHECK_CASE("few are told of what is not there", wrong < 800);
        }
        run_close(r);
        free((void *)(uintptr_t)octets.p);
        empty(&c);
    }
}

/* No octet can change without being noticed, no end be missing. */
static void
test_damage(void **unused)
{
    struct content c = fill(20, 42);
    struct nr_bytes octets;
    uint8_t *copy;
    struct nr_diag d = { 0 };

    (void)unused;
    for (unsigned k = 0; k < SEG_CLASSES; k++)
        c.n[k] = 500;
    octets = write_run(&c);
    copy = malloc(octets.n);
    assert_non_null(copy);
    for (size_t i = 0; i < octets.n; i++) {
        struct run *r = NULL;
        enum nr_err err;

        memcpy(copy, octets.p, octets.n);
        copy[i] ^= (uint8_t)(1u << i % 8);
        err = run_open_mem((struct nr_bytes){ copy, octets.n }, "r", &r, &d);
        if (!err)
            err = run_verify(r, &d);
        if (err != NR_EDAMAGED && err != NR_EFORMAT)
            fail_msg("octet %zu of %zu: %d", i, octets.n, (int)err);
        run_close(r);
        r = NULL;
        if (run_open_mem((struct nr_bytes){ octets.p, i }, "r", &r, &d) !=
            NR_EDAMAGED)
            fail_msg("cut at %zu of %zu", i, octets.n);
    }
    free(copy);
    free((void *)(uintptr_t)octets.p);
    empty(&c);
}

static void
test_empty(void **unused)
{
    struct content c = fill(3, 7);
    struct run_place at = { 0 };
    struct seen s = { 0 };
    struct nr_bytes octets;
    struct run *r = NULL;
    struct nr_diag d = { 0 };

    (void)unused;
    memset(c.n, 0, sizeof(c.n));
    octets = write_run(&c);
    assert_int_equal(run_open_mem(octets, "r", &r, &d), NR_OK);
    assert_int_equal(run_verify(r, &d), NR_OK);
    assert_int_equal(run_look(r, SEG_NAME, &at, 0, UINT64_MAX, see, &s, &d),
        NR_OK);
    for (size_t i = 0; i < 3; i++)
        assert_false(s.segment[i]);
    run_close(r);
    free((void *)(uintptr_t)octets.p);
    empty(&c);
}

static void
test_too_many(void **unused)
{
    struct run_writer *w = NULL;
    struct run_covered row = { 1, 1 };
    struct nr_diag d = { 0 };

    (void)unused;
    assert_int_equal(run_writer_open("/tmp", 1, &row, RUN_SEGMENTS_MAX + 1,
                         NULL, &w, &d),
        NR_ELIMIT);
    assert_int_equal(run_writer_open("/nonexistent", 1, &row, 1, NULL, &w, &d),
        NR_ESYS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_tells_all),
        NR_TEST(test_damage),
        NR_TEST(test_empty),
        NR_TEST(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
