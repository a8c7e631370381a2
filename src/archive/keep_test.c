#include "archive/keep.h"

#include "base/file.h"
#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW  INT64_C(1503273600) /* 2017-08-21 */
#define SEG  "0000000000000001.seg"
#define STEP ((size_t)7) /* every so many octets a repair, which syncs a file */

static char dir[] = "/tmp/noroshi-keep-XXXXXX";
static char store[NR_PATH_MAX];

static void
write_file(const char *name, struct nr_bytes in)
{
    char path[NR_PATH_MAX];
    int fd;

    assert_int_equal(nr_path_join(path, dir, name, NULL), NR_OK);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(nr_fd_write(fd, in, NULL), NR_OK);
    close(fd);
}

static struct nr_archive *
open_store(enum nr_archive_mode mode)
{
    struct nr_archive *a = NULL;

    assert_int_equal(nr_archive_open(store, mode, NULL, &a, NULL), NR_OK);
    return a;
}

static void
add(const char *name, const char *text)
{
    struct nr_archive_add_options o = { .now_s = NOW };
    struct nr_archive_added got;
    char path[NR_PATH_MAX];
    const char *paths[] = { path };
    struct nr_archive *a = open_store(NR_ARCHIVE_WRITE);

    write_file(name, nr_bytes_of(nr_str_of(text)));
    assert_int_equal(nr_path_join(path, dir, name, NULL), NR_OK);
    assert_int_equal(nr_archive_add(a, paths, 1, &o, &got, NULL), NR_OK);
    nr_archive_close(a);
}

static void
empty_dir(const char *path)
{
    struct nr_names names;
    struct nr_arena a;
    char file[NR_PATH_MAX];

    nr_arena_init(&a, 1 << 20);
    if (nr_dir_list(&a, path, 100, &names, NULL) == NR_OK)
        for (size_t i = 0; i < names.n; i++)
            if (nr_path_join(file, path, names.v[i], NULL) == NR_OK)
                (void)unlink(file);
    nr_arena_fini(&a);
}

#define LINE(t, host) \
    t " 10 10.0.0.5 TCP_MISS/200 99 GET http://" host "/ - H - t\n"

static enum nr_keep_fate
fate(const struct nr_keep_rule *r, struct nr_days held, size_t segment,
    struct nr_keep_plan *p, struct nr_arena *arena)
{
    struct nr_hold h = { .name = NR_STR("h"), .days = held };
    struct nr_holds holds = { &h, held.from <= held.to };
    struct nr_archive *a = open_store(NR_ARCHIVE_READ);
    enum nr_keep_fate f;

    assert_int_equal(nr_keep_plan(a, r, &holds, arena, p, NULL), NR_OK);
    f = p->fate[segment];
    nr_archive_close(a);
    return f;
}

/* Days of 2016-11-24 (proxy, segment 0) and 2017-03-20 (segment 1). */
static void
test_plan(void **state)
{
    static const int64_t d0 = 1480000000 / 86400, d1 = 1490000000 / 86400;

    static const struct {
        const char *name;
        int64_t before, proxy; /* 0: none */
        uint64_t size;
        struct nr_days held;
        enum nr_keep_fate want[2];
    } cases[] = {
        { "no rule", 0, 0, 0, { 1, 0 }, { NR_KEEP_STAYS, NR_KEEP_STAYS } },
        { "its day", d0, 0, 0, { 1, 0 }, { NR_KEEP_STAYS, NR_KEEP_STAYS } },
        { "the day after", d0 + 1, 0, 0, { 1, 0 },
            { NR_KEEP_AGE, NR_KEEP_STAYS } },
        { "all", d1 + 1, 0, 0, { 1, 0 }, { NR_KEEP_AGE, NR_KEEP_AGE } },
        { "own kind", 0, d0 + 1, 0, { 1, 0 }, { NR_KEEP_AGE, NR_KEEP_STAYS } },
        { "own kind wins", d1 + 1, d0, 0, { 1, 0 },
            { NR_KEEP_STAYS, NR_KEEP_STAYS } },
        { "size", 0, 0, 1, { 1, 0 }, { NR_KEEP_SIZE, NR_KEEP_SIZE } },
        { "held", d1 + 1, 0, 0, { d0 - 9, d0 }, { NR_KEEP_HELD, NR_KEEP_AGE } },
        { "held the day before", d1 + 1, 0, 0, { d0 - 9, d0 - 1 },
            { NR_KEEP_AGE, NR_KEEP_AGE } },
        { "held from size", 0, 0, 1, { d1, d1 },
            { NR_KEEP_SIZE, NR_KEEP_HELD } },
    };

    (void)state;
    empty_dir(store);
    add("a.log", LINE("1480000000.1", "evil.example"));
    add("b.log", LINE("1490000000.1", "evil.example"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_keep_rule r = {
            .before = cases[i].before ? cases[i].before : NR_KEEP_ALWAYS,
            .max_octets = cases[i].size,
            .own = cases[i].proxy ? NR_LOG_PROXY : 0,
        };
        struct nr_keep_plan p;
        struct nr_arena arena;

        r.kind_before[0] = cases[i].proxy;
        nr_arena_init(&arena, 1 << 20);
        for (size_t s = 0; s < 2; s++)
            CHECK_CASE(cases[i].name,
                fate(&r, cases[i].held, s, &p, &arena) == cases[i].want[s]);
        CHECK_CASE(cases[i].name, p.n_losses == p.n_drop);
        nr_arena_fini(&arena);
    }
}

static void
test_holds(void **state)
{
    struct nr_hold h = { .name = NR_STR("b"),
        .reason = NR_STR("why"),
        .days = { 17000, 17001 },
        .set_s = NOW };
    struct nr_archive *a;
    struct nr_holds got;
    struct nr_arena arena;

    (void)state;
    empty_dir(store);
    nr_arena_init(&arena, 1 << 20);
    a = open_store(NR_ARCHIVE_WRITE);
    assert_int_equal(nr_holds_read(store, &arena, &got, NULL), NR_OK);
    assert_int_equal(got.n, 0);
    assert_int_equal(nr_hold_add(a, &h, NULL), NR_OK);
    assert_int_equal(nr_hold_add(a, &h, NULL), NR_EEXIST);
    h.name = NR_STR("a");
    assert_int_equal(nr_hold_add(a, &h, NULL), NR_OK);
    h.name = NR_STR("c");
    h.reason = NR_STR("one\ttwo");
    assert_int_equal(nr_hold_add(a, &h, NULL), NR_EFORMAT);
    assert_int_equal(nr_holds_read(store, &arena, &got, NULL), NR_OK);
    assert_int_equal(got.n, 2);
    assert_true(nr_str_eq(got.v[0].name, NR_STR("a")));
    assert_int_equal(got.v[1].days.to, 17001);
    assert_true(nr_str_eq(got.v[1].reason, NR_STR("why")));
    assert_int_equal(nr_hold_remove(a, NR_STR("c"), NULL), NR_ENOTFOUND);
    assert_int_equal(nr_hold_remove(a, NR_STR("a"), NULL), NR_OK);
    assert_int_equal(nr_holds_read(store, &arena, &got, NULL), NR_OK);
    assert_int_equal(got.n, 1);
    nr_archive_close(a);
    nr_arena_fini(&arena);
}

static void
see(void *ctx, const struct nr_damage *m)
{
    size_t *n = ctx;

    assert_string_equal(m->file, SEG);
    assert_true(m->part[0] && m->rule[0] && m->sections);
    ++*n;
}

static size_t
damages(void)
{
    size_t n = 0;
    struct nr_keep_say say = { see, &n };
    struct nr_verified v;

    assert_int_equal(nr_keep_verify(store, NULL, &say, &v, NULL), NR_OK);
    assert_int_equal(v.segments, 1);
    assert_int_equal(v.damages, n);
    assert_int_equal(v.damaged, n > 0);
    return n;
}

/* What repair leaves is whole, and what it cannot repair it does not touch. */
static void
repair(struct nr_bytes bad)
{
    struct nr_archive *a = open_store(NR_ARCHIVE_WRITE);
    struct nr_repaired got;
    enum nr_err err = nr_keep_repair(a, SEG, true, NOW, NULL, &got, NULL);

    nr_archive_close(a);
    assert_true(err == NR_OK || err == NR_EDAMAGED);
    if (err == NR_OK) {
        assert_true(got.blocks > 0 && got.lines > 0 && !got.whole);
        assert_int_equal(damages(), 0);
    } else {
        char path[NR_PATH_MAX];
        struct nr_arena arena;
        struct nr_bytes in;

        nr_arena_init(&arena, 1 << 20);
        assert_int_equal(nr_path_join(path, store, SEG, NULL), NR_OK);
        assert_int_equal(nr_file_read(&arena, path, 1 << 20, &in, NULL), NR_OK);
        assert_true(nr_bytes_eq(in, bad));
        nr_arena_fini(&arena);
    }
}

/* Any octet changed, any octet lost, any octets of a run changed. */
static void
test_damage(void **state)
{
    char path[NR_PATH_MAX];
    struct nr_arena arena;
    struct nr_bytes in;
    uint8_t *copy;

    (void)state;
    empty_dir(store);
    add("a.log",
        LINE("1480000000.1", "evil.example") LINE("1480000300.1", "b.example")
            LINE("1480000400.1", "c.example") LINE("1480000500.1", "d.example")
                LINE("1480000600.1", "evil.example"));
    nr_arena_init(&arena, 1 << 20);
    assert_int_equal(nr_path_join(path, "store", SEG, NULL), NR_OK);
    {
        char whole[NR_PATH_MAX];

        assert_int_equal(nr_path_join(whole, store, SEG, NULL), NR_OK);
        assert_int_equal(nr_file_read(&arena, whole, 1 << 20, &in, NULL),
            NR_OK);
    }
    assert_int_equal(damages(), 0);
    copy = nr_new(&arena, uint8_t, in.n + 16);
    for (size_t i = 0; i < in.n; i++) {
        struct nr_bytes bad = { copy, in.n };

        memcpy(copy, in.p, in.n);
        copy[i] ^= (uint8_t)(1u << (i % 8));
        for (size_t k = i + 1; i % 5 == 4 && k < i + 9 && k < in.n; k++)
            copy[k] = (uint8_t)(copy[k] * 7u + i);
        write_file(path, bad);
        if (damages() == 0)
            fail_msg("octet %zu of %zu changed: not seen", i, in.n);
        if (i % STEP == 0)
            repair(bad);
    }
    memcpy(copy, in.p, in.n);
    for (size_t n = 1; n < in.n; n++) {
        struct nr_bytes bad = { copy, n };

        write_file(path, bad);
        assert_true(damages() > 0);
        if (n % STEP == 0)
            repair(bad);
    }
    write_file(path, (struct nr_bytes){ copy, in.n + 1 });
    assert_true(damages() > 0);
    nr_arena_fini(&arena);
}

static int
setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    return nr_path_join(store, dir, "store", NULL) ? -1 : 0;
}

static int
teardown(void **state)
{
    (void)state;
    empty_dir(store);
    (void)rmdir(store);
    empty_dir(dir);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_plan),
        NR_TEST(test_holds),
        NR_TEST(test_damage),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
