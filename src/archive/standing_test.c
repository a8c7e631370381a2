/* The standing answers are those of a hunt over everything, whatever comes. */
#include "archive/standing.h"

#include "archive/compact.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/test.h"
#include "watchlist/watchlist.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW    INT64_C(1503273600) /* 2017-08-21 */
#define HOSTS  40
#define VALUES (HOSTS * 2 + 4)
#define STEPS  70

static char dir[] = "/tmp/noroshi-standing-XXXXXX";
static char store[NR_PATH_MAX], state[NR_PATH_MAX], log_path[NR_PATH_MAX];
static uint64_t seed;

static uint32_t
dice(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

static void
write_log(int step)
{
    char name[32];
    struct nr_buf b;
    int fd;

    (void)snprintf(name, sizeof(name), "access-%d.log", step);
    assert_int_equal(nr_path_join(log_path, dir, name, NULL), NR_OK);
    nr_buf_init(&b, (size_t)1 << 20);
    for (uint32_t i = 0, n = 1 + dice(60); i < n; i++)
        nr_buf_printf(&b,
            "%lld.000 1 10.0.0.%u TCP_%s/200 1 GET http://h%u.example/a%d-%u - "
            "HIER_DIRECT/192.0.2.%u text/html\n",
            (long long)(NOW - (int64_t)dice(200) * 86400 - dice(86400)),
            1 + dice(9), dice(4) ? "MISS" : "DENIED", dice(HOSTS), step, i,
            dice(HOSTS));
    fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(nr_fd_write(fd, nr_buf_bytes(&b), NULL), NR_OK);
    close(fd);
    nr_buf_fini(&b);
}

static void
add(int step)
{
    struct nr_archive_add_options o = { .now_s = NOW };
    struct nr_archive_added got;
    struct nr_archive *a = NULL;
    const char *paths[] = { log_path };

    write_log(step);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_WRITE, NULL, &a, NULL),
        NR_OK);
    assert_int_equal(nr_archive_add(a, paths, 1, &o, &got, NULL), NR_OK);
    assert_true(got.lines > 0);
    nr_archive_close(a);
    (void)unlink(log_path);
}

static void
compact(void)
{
    struct nr_compact_options o = { .now_s = NOW + dice(3) * 86400,
        .least = 2,
        .span_days = 400 };
    struct nr_compacted got;
    struct nr_archive *a = NULL;

    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_WRITE, NULL, &a, NULL),
        NR_OK);
    assert_int_equal(nr_archive_compact(a, &o, &got, NULL), NR_OK);
    nr_archive_close(a);
}

static void
prune(void)
{
    struct nr_keep_rule rule = { .before = NR_KEEP_ALWAYS,
        .max_octets = 1 + dice(200000) };
    struct nr_holds none = { 0 };
    struct nr_keep_plan plan;
    struct nr_archive *a = NULL;
    struct nr_arena arena;
    size_t n;

    nr_arena_init(&arena, (size_t)1 << 24);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_WRITE, NULL, &a, NULL),
        NR_OK);
    assert_int_equal(nr_keep_plan(a, &rule, &none, &arena, &plan, NULL), NR_OK);
    assert_int_equal(nr_keep_drop(a, &plan, &n, NULL), NR_OK);
    nr_archive_close(a);
    nr_arena_fini(&arena);
}

/* All values there are: names, addresses, ranges. */
static void
make_values(struct nr_indicator *v, uint8_t (*keys)[24])
{
    for (uint32_t i = 0; i < VALUES; i++) {
        enum nr_kind kind = NR_KIND_DOMAIN;
        size_t n;

        if (i < HOSTS) {
            n = (size_t)snprintf((char *)keys[i], 24, "h%u.example", i);
        } else if (i < 2 * HOSTS) {
            kind = NR_KIND_IPV4;
            memcpy(keys[i], "\xc0\0\x02", 3);
            keys[i][3] = (uint8_t)(i - HOSTS);
            n = 4;
        } else {
            kind = NR_KIND_CIDR4;
            memcpy(keys[i], "\xc0\0\x02", 3);
            keys[i][3] = (uint8_t)((i - 2 * HOSTS) * 8);
            keys[i][4] = 29;
            n = 5;
        }
        v[i] = (struct nr_indicator){ .kind = kind,
            .key = { keys[i], n },
            .valid_from_s = NR_TIME_NONE,
            .valid_until_s = NR_TIME_NONE,
            .first_seen_s = NR_TIME_NONE,
            .last_seen_s = NR_TIME_NONE };
    }
}

static void
check_same(const struct nr_answer *x, const struct nr_answer *y)
{
    assert_int_equal(x->answer, y->answer);
    assert_int_equal(x->lines, y->lines);
    assert_int_equal(x->denied, y->denied);
    assert_true(x->first_s == y->first_s && x->last_s == y->last_s);
    assert_int_equal(x->days, y->days);
    assert_int_equal(x->sources, y->sources);
    assert_int_equal(x->kinds, y->kinds);
    assert_true(x->window.from == y->window.from);
    assert_true(x->window.to == y->window.to);
    assert_true(x->coverage >= y->coverage && x->coverage <= y->coverage);
    assert_int_equal(x->n_gaps, y->n_gaps);
    for (size_t i = 0; i < x->n_gaps; i++)
        assert_true(x->gaps[i].from == y->gaps[i].from &&
            x->gaps[i].to == y->gaps[i].to);
}

/* Ask for some of the values, some twice and with a window. */
static void
ask(struct nr_standing *s, const struct nr_indicator *all, uint32_t upto)
{
    static struct nr_indicator own[VALUES];
    static const struct nr_indicator *v[VALUES];
    static struct nr_answer x[VALUES], y[VALUES];
    struct nr_hunt_options o = { .now_s = NOW };
    struct nr_archive *a = NULL;
    struct nr_arena arena;
    size_t n = 0;

    for (uint32_t i = 0; i < upto; i++) {
        if (dice(4) == 0)
            continue;
        own[n] = all[dice(8) ? i : dice(upto)];
        if (dice(3) == 0)
            own[n].valid_from_s = NOW - (int64_t)dice(100) * 86400;
        v[n] = &own[n];
        n++;
    }
    nr_arena_init(&arena, (size_t)1 << 26);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_READ, NULL, &a, NULL),
        NR_OK);
    assert_int_equal(nr_standing_hunt(s, a, v, n, NOW, &arena, x, NULL), NR_OK);
    assert_int_equal(nr_archive_hunt(a, v, n, &o, &arena, y, NULL), NR_OK);
    for (size_t i = 0; i < n; i++)
        check_same(&x[i], &y[i]);
    nr_archive_close(a);
    nr_arena_fini(&arena);
}

static struct nr_standing *
reopen(struct nr_standing *s)
{
    nr_standing_close(s);
    s = NULL;
    assert_int_equal(nr_standing_open(state, true, &s, NULL, NULL), NR_OK);
    return s;
}

/* What a crash or a bad disk leaves of the state. */
static void
hurt(void)
{
    struct stat st;
    uint8_t octet;
    int fd = open(state, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    if (st.st_size > 40 && dice(2)) {
        off_t at = 19 + (off_t)dice((uint32_t)st.st_size - 19);

        assert_int_equal(pread(fd, &octet, 1, at), 1);
        octet ^= (uint8_t)(1u << dice(8));
        assert_int_equal(pwrite(fd, &octet, 1, at), 1);
    } else {
        assert_int_equal(ftruncate(fd, dice((uint32_t)st.st_size + 1)), 0);
    }
    close(fd);
}

static void
test_equals_a_whole_hunt(void **unused)
{
    static struct nr_indicator all[VALUES];
    static uint8_t keys[VALUES][24];
    uint32_t upto = 5;

    (void)unused;
    make_values(all, keys);
    for (uint64_t run = 1; run <= 4; run++) {
        struct nr_standing *s = NULL;

        seed = run;
        (void)unlink(state);
        assert_int_equal(nr_standing_open(state, true, &s, NULL, NULL), NR_OK);
        for (int step = 0; step < STEPS; step++) {
            uint32_t what = dice(12);

            if (what < 5)
                add((int)run * 1000 + step);
            else if (what == 5)
                compact();
            else if (what == 6 && dice(3) == 0)
                prune();
            else if (what == 7)
                upto = upto + dice(20) < VALUES ? upto + dice(20) : VALUES;
            else if (what == 8)
                hurt();
            if (what == 8 || what == 9)
                s = reopen(s);
            if (what == 10)
                nr_standing_begin(s);
            ask(s, all, upto < VALUES ? upto : VALUES);
            if (what == 10)
                assert_int_equal(nr_standing_end(s, NULL), NR_OK);
        }
        nr_standing_close(s);
    }
}

/* Nothing is asked twice: not at the next time, nor after a start, nor of what
 * was merged. */
static void
test_asks_only_what_changed(void **unused)
{
    static struct nr_indicator all[VALUES];
    static uint8_t keys[VALUES][24];
    static const struct nr_indicator *v[VALUES];
    static struct nr_answer x[VALUES];
    struct nr_standing_stat st;
    struct nr_standing *s = NULL;
    struct nr_archive *a = NULL;
    struct nr_arena arena;
    uint64_t expect[] = { 3 * 10, 0, 0, 3 * 5, 15, 0 };

    (void)unused;
    seed = 99;
    make_values(all, keys);
    nr_arena_init(&arena, (size_t)1 << 26);
    for (size_t i = 0; i < VALUES; i++)
        v[i] = &all[i];
    (void)unlink(state);
    assert_int_equal(nr_path_join(store, dir, "other", NULL), NR_OK);
    for (int i = 0; i < 3; i++)
        add(9000 + i);
    assert_int_equal(nr_standing_open(state, true, &s, NULL, NULL), NR_OK);
    for (size_t i = 0; i < sizeof(expect) / sizeof(*expect); i++) {
        uint64_t before;

        s = i == 2 ? reopen(s) : s;
        if (i == 4)
            add(9100);
        if (i == 5)
            compact();
        nr_standing_stat(s, &st);
        before = st.asked;
        assert_int_equal(nr_archive_open(store, NR_ARCHIVE_READ, NULL, &a,
                             NULL),
            NR_OK);
        assert_int_equal(nr_standing_hunt(s, a, v, i < 3 ? 10 : 15, NOW, &arena,
                             x, NULL),
            NR_OK);
        nr_archive_close(a);
        nr_standing_stat(s, &st);
        assert_int_equal(st.asked - before, expect[i]);
        assert_int_equal(st.behind, 0);
    }
    assert_int_equal(st.values, 15);
    /* what is not asked in a round stands no longer */
    nr_standing_begin(s);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_READ, NULL, &a, NULL),
        NR_OK);
    assert_int_equal(nr_standing_hunt(s, a, v, 4, NOW, &arena, x, NULL), NR_OK);
    assert_int_equal(nr_standing_end(s, NULL), NR_OK);
    nr_standing_stat(s, &st);
    assert_int_equal(st.values, 4);
    s = reopen(s);
    nr_standing_stat(s, &st);
    assert_int_equal(st.values, 4);
    nr_archive_close(a);
    nr_standing_close(s);
    nr_arena_fini(&arena);
}

static void
test_other_files(void **unused)
{
    struct nr_standing *s = NULL;
    int fd;

    (void)unused;
    (void)unlink(state);
    assert_int_equal(nr_standing_open(state, false, &s, NULL, NULL),
        NR_ENOTFOUND);
    fd = open(state, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(nr_fd_write(fd, NR_BYTES("something else entirely"), NULL),
        NR_OK);
    close(fd);
    assert_int_equal(nr_standing_open(state, true, &s, NULL, NULL), NR_EFORMAT);
}

static int
setup(void **unused)
{
    (void)unused;
    return !mkdtemp(dir) || nr_path_join(store, dir, "store", NULL) ||
        nr_path_join(state, dir, "standing", NULL);
}

static void
empty(const char *name)
{
    char path[NR_PATH_MAX], file[NR_PATH_MAX];
    struct nr_names names = { 0 };
    struct nr_arena a;

    nr_arena_init(&a, (size_t)1 << 20);
    assert_int_equal(nr_path_join(path, dir, name, NULL), NR_OK);
    if (nr_dir_list(&a, path, 10000, &names, NULL) == NR_OK)
        for (size_t i = 0; i < names.n; i++)
            if (nr_path_join(file, path, names.v[i], NULL) == NR_OK)
                (void)unlink(file);
    (void)rmdir(path);
    nr_arena_fini(&a);
}

static int
teardown(void **unused)
{
    (void)unused;
    (void)unlink(state);
    empty("store");
    empty("other");
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_equals_a_whole_hunt),
        NR_TEST(test_asks_only_what_changed),
        NR_TEST(test_other_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
