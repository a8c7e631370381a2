/*
 * A bed for tests of the room: one watch, what it found, and texts of known
 * shape for it.
 */
#ifndef NR_WATCH_TEST_H
#define NR_WATCH_TEST_H

#include "base/test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cpu.h"
#include "base/file.h"
#include "input/input.h"
#include "watch/watch.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS  4u
#define TEXT_MAX ((size_t)64 << 20)
#define ROWS_MAX ((size_t)1 << 17)
#define NAME_LEN ((size_t)64)
#define WAITS    100000 /* of a tenth of a millisecond: ten seconds */
/* Six blocks a thread, the one being read, and what the input reads ahead. */
#define AHEAD(threads) ((6u * (threads) + 2) * NR_WATCH_BLOCK + NR_INPUT_RAW)

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

struct row {
    uint64_t line, file_line, at, version;
    uint8_t id[NR_HIT_ID];
    char observed[24], file[16];
};

/* One watch, what it found, and what its callbacks are to do. */
struct bed {
    char dir[NAME_LEN];
    struct nr_env env;
    int64_t offset_us;
    struct nr_watch_conf conf;
    struct nr_watch *w;
    struct row *rows;
    size_t n;
    struct nr_buf troubles;
    size_t stop_at;          /* stop with this hit; 0: never */
    size_t fail_at;          /* fail with this hit; 0: never */
    struct nr_watchlist *to; /* to be swapped in with the first hit */
    bool wait_full;          /* wait with the first hit until readers wait */
    bool stop_idle;          /* stop when something was told and readers wait */
    uint64_t ahead;          /* octets read and not delivered, at most */
};

/* --- callbacks --- */

static inline void
wait_until_full(struct bed *b)
{
    const struct timespec tick = { .tv_nsec = 100000 };
    struct nr_watch_stats s = { 0 };

    for (int i = 0; i < WAITS && s.waits_output == 0; i++) {
        (void)nanosleep(&tick, NULL);
        nr_watch_get_stats(b->w, &s);
    }
    assert_true(s.waits_output > 0);
    b->wait_full = false;
}

static inline enum nr_err
on_hit(void *ctx, const struct nr_hit *h, struct nr_diag *d)
{
    struct bed *b = ctx;
    struct row *r = &b->rows[b->n];
    struct nr_watch_stats s;

    assert_true(b->n < ROWS_MAX && h->observed.n < sizeof(r->observed));
    if (b->wait_full)
        wait_until_full(b);
    nr_watch_get_stats(b->w, &s);
    if (s.size_done > s.octets && s.size_done - s.octets > b->ahead)
        b->ahead = s.size_done - s.octets;
    *r = (struct row){ .line = h->line,
        .file_line = h->file_line,
        .at = h->at,
        .version = h->list_version };
    memcpy(r->id, h->id, NR_HIT_ID);
    memcpy(r->observed, h->observed.p, h->observed.n);
    (void)snprintf(r->file, sizeof(r->file), "%s",
        strrchr(h->file, '/') ? strrchr(h->file, '/') + 1 : h->file);
    assert_true(h->observed.p >= h->text.p &&
        h->observed.p + h->observed.n <= h->text.p + h->text.n);
    b->n++;
    if (b->fail_at == b->n)
        return nr_fail(d, NR_ELIMIT, 0, "test: enough");
    if (b->to) {
        nr_watch_swap(b->w, b->to);
        b->to = NULL;
    }
    if (b->stop_at == b->n)
        nr_watch_stop(b->w);
    return NR_OK;
}

static inline enum nr_err
on_trouble(void *ctx, const struct nr_diag *why, struct nr_diag *d)
{
    struct bed *b = ctx;
    const char *slash = strrchr(why->name, '/');

    (void)d;
    nr_buf_printf(&b->troubles, "%d:%s;", (int)why->err,
        slash ? slash + 1 : why->name);
    return NR_OK;
}

static inline enum nr_err
on_tick(void *ctx, struct nr_watch *w, bool idle, struct nr_diag *d)
{
    struct bed *b = ctx;
    struct nr_watch_stats s;

    (void)d;
    nr_watch_get_stats(w, &s);
    if (idle && b->stop_idle && b->n > 0 && s.waits_input > 0)
        nr_watch_stop(w);
    return NR_OK;
}

/* The number of hits is what the output keeps: those behind it come again. */
static inline enum nr_err
on_mark(void *ctx, struct nr_buf *extra, struct nr_diag *d)
{
    struct bed *b = ctx;

    (void)d;
    nr_buf_put_le(extra, b->n, 8);
    return NR_OK;
}

static inline enum nr_err
on_cut(void *ctx, struct nr_bytes extra, struct nr_diag *d)
{
    struct bed *b = ctx;

    (void)d;
    b->n = 0;
    assert_int_equal(extra.n, 8);
    for (size_t i = extra.n; i > 0; i--)
        b->n = b->n << 8 | extra.p[i - 1];
    return NR_OK;
}

/* --- the bed --- */

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static inline int
setup(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));

    *state = b;
    if (!b)
        return -1;
    b->rows = calloc(ROWS_MAX, sizeof(*b->rows));
    nr_buf_init(&b->troubles, TEXT_MAX);
    nr_env_system(&b->env, &b->offset_us);
    b->conf = (struct nr_watch_conf){ .threads = 1,
        .cpu = nr_cpu_flags(),
        .env = &b->env,
        .wake_fd = -1,
        .hit = on_hit,
        .trouble = on_trouble,
        .tick = on_tick,
        .ctx = b };
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/nr_watch_test.XXXXXX");
    return b->rows && mkdtemp(b->dir) ? 0 : -1;
}

static inline int
teardown(void **state)
{
    struct bed *b = *state;

    nr_watch_free(b->w);
    nr_watchlist_close(b->to);
    (void)nftw(b->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    nr_buf_fini(&b->troubles);
    free(b->rows);
    free(b);
    return 0;
}

static inline const char *
in_dir(const struct bed *b, const char *name, char path[2 * NAME_LEN])
{
    (void)snprintf(path, 2 * NAME_LEN, "%s/%s", b->dir, name);
    return path;
}

static inline void
put(const struct bed *b, const char *name, struct nr_bytes text, int flags)
{
    char path[2 * NAME_LEN];
    int fd = open(in_dir(b, name, path), O_WRONLY | O_CREAT | O_CLOEXEC | flags,
        0600);

    assert_true(fd >= 0);
    for (size_t at = 0; at < text.n;) {
        ssize_t n = write(fd, text.p + at, text.n - at);

        assert_true(n > 0);
        at += (size_t)n;
    }
    (void)close(fd);
}

static inline void
put_str(const struct bed *b, const char *name, const char *text)
{
    put(b, name, (struct nr_bytes){ (const uint8_t *)text, strlen(text) },
        O_TRUNC);
}

static inline struct nr_watchlist *
list_of(const char *text)
{
    const uint64_t key[2] = { 1, 2 };
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(key);
    struct nr_watchlist *out = NULL;
    struct nr_text_load load;

    assert_non_null(b);
    assert_int_equal(nr_watchlist_load_text(b,
                         (struct nr_bytes){ (const uint8_t *)text,
                             strlen(text) },
                         NR_STR("test"), NULL, &load, NULL),
        NR_OK);
    assert_int_equal(nr_watchlist_build(b, 0, &out, NULL), NR_OK);
    nr_watchlist_builder_destroy(b);
    return out;
}

static inline enum nr_err
open_watch(struct bed *b, const char *list)
{
    struct nr_diag d = { 0 };

    nr_watch_free(b->w);
    b->w = NULL;
    return nr_watch_new(&b->conf, list_of(list), &b->w, &d);
}

static inline void
begin(struct bed *b, const char *list)
{
    assert_int_equal(open_watch(b, list), NR_OK);
}

static inline void
add(struct bed *b, const char *name)
{
    char path[2 * NAME_LEN];

    assert_int_equal(nr_watch_add(b->w, in_dir(b, name, path), NULL), NR_OK);
}

static inline void
run(struct bed *b)
{
    struct nr_diag d = { 0 };
    enum nr_err err = nr_watch_run(b->w, &d);

    if (err)
        fail_msg("%s %s", d.what, d.name);
}

static inline struct nr_watch_stats
stats_of(struct bed *b)
{
    struct nr_watch_stats s;

    nr_watch_get_stats(b->w, &s);
    return s;
}

/* --- texts with plants --- */

#define LIST    "domain\tevil.example\nipv4\t192.0.2.7\n"
#define DOMAIN  "www.evil.example"
#define LONGEST (2 * NR_WATCH_BLOCK)
#define SEED    UINT64_C(88172645463325252)

static inline size_t
below(uint64_t *seed, size_t n)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (size_t)(*seed >> 16) % n;
}

/* Lines of all lengths, LONGEST the rarely longest, N octets or more; where
 * each plant stands goes to ROWS. */
static inline size_t
make_text(struct nr_buf *text, size_t n, size_t longest, uint64_t seed,
    struct row *rows)
{
    size_t rows_n = 0;

    for (uint64_t line = 1; text->n < n; line++) {
        size_t at = text->n, len = below(&seed, 200);

        if (below(&seed, 400) == 0)
            len = below(&seed, longest);
        nr_buf_printf(text, "line %llu ", (unsigned long long)line);
        for (size_t i = 0; i < len; i++)
            nr_buf_put_le(text, (uint8_t) "ab cdef. ghi"[i % 12], 1);
        if (below(&seed, 20) == 0) {
            bool both = below(&seed, 3) == 0;

            nr_buf_printf(text, " %s%s", DOMAIN, both ? " 192.0.2.7" : "");
            for (int i = 0; i <= both; i++) {
                struct row *r = &rows[rows_n++];

                *r = (struct row){ .line = line, .file_line = line, .at = at };
                (void)snprintf(r->observed, sizeof(r->observed), "%s",
                    i ? "192.0.2.7" : DOMAIN);
            }
        }
        nr_buf_put_le(text, '\n', 1);
    }
    assert_int_equal(text->err, NR_OK);
    return rows_n;
}

static inline void
same_place(const struct row *got, const struct row *want)
{
    assert_int_equal(got->line, want->line);
    assert_int_equal(got->file_line, want->file_line);
    assert_int_equal(got->at, want->at);
    assert_string_equal(got->observed, want->observed);
}

#endif
