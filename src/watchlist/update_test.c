/* Lists that change: deltas, their folding and merging, crashes, collisions. */
#include "base/test.h"

#include "base/date.h"
#include "base/file.h"
#include "base/num.h"
#include "watchlist/build.h"
#include "watchlist/list.h"
#include "watchlist/watchlist.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t KEY[2] = { 7, 11 };

/* --- a model of a list: for each of some names the sources that name it --- */

#define NAMES ((size_t)200)

struct model {
    uint8_t sources[NAMES]; /* bit for each; 0: not in the list */
};

static uint64_t
next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) +
        UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Kinds by turns: a domain, an address, a range, a URL. */
static struct nr_indicator
indicator(size_t i, uint8_t *buf)
{
    int n = 0;

    switch (i % 4) {
    case 0:
        n = snprintf((char *)buf, 64, "n%zu.evil.com", i);
        return nr_indicator_of(NR_KIND_DOMAIN,
            (struct nr_bytes){ buf, (size_t)n });
    case 1:
        memcpy(buf, (uint8_t[]){ 192, 0, 2, (uint8_t)i }, 4);
        return nr_indicator_of(NR_KIND_IPV4, (struct nr_bytes){ buf, 4 });
    case 2:
        memcpy(buf, (uint8_t[]){ 10, (uint8_t)i, 0, 0, 16 }, 5);
        return nr_indicator_of(NR_KIND_CIDR4, (struct nr_bytes){ buf, 5 });
    default:
        n = snprintf((char *)buf, 64, "http://h%zu.example/x", i);
        return nr_indicator_of(NR_KIND_URL,
            (struct nr_bytes){ buf, (size_t)n });
    }
}

static struct nr_str
source(unsigned k)
{
    static const char *const names[] = { "s0", "s1", "s2", "s3", "s4", "s5",
        "s6", "s7" };

    return nr_str_of(names[k & 7]);
}

static void
add(struct nr_watchlist_builder *b, size_t i, unsigned k)
{
    uint8_t buf[64];
    struct nr_indicator ind = indicator(i, buf);

    ind.said.source = source(k);
    assert_int_equal(nr_watchlist_add(b, &ind, NULL), NR_OK);
}

static struct nr_watchlist_builder *
builder_of(const struct model *m)
{
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);

    assert_non_null(b);
    for (size_t i = 0; i < NAMES; i++)
        for (unsigned k = 0; k < 8; k++)
            if (m->sources[i] >> k & 1)
                add(b, i, k);
    return b;
}

/* A line for each name, and some that hold several. */
static void
scan_all(struct nr_tokens *t)
{
    struct nr_buf log;
    uint8_t buf[64];

    nr_buf_init(&log, 1 << 20);
    for (size_t i = 0; i < NAMES; i++) {
        struct nr_indicator ind = indicator(i, buf);

        nr_canon_print(ind.kind, ind.key, &log);
        nr_buf_put_str(&log, NR_STR(" 10.33.0.1 www.n4.evil.com\n"));
    }
    nr_tokens_init(t, 0);
    assert_int_equal(nr_scan(nr_buf_bytes(&log), t), NR_OK);
    nr_buf_fini(&log);
}

/* Matches as text, in the order in which a rebuilt list need not be: sorted by
 * line and value. Sources as well. */
static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *
answers(const struct nr_watchlist *w, const struct nr_tokens *t)
{
    struct nr_matches m;
    struct nr_buf out;
    char **rows;
    char *text;

    nr_matches_init(&m);
    assert_int_equal(nr_watchlist_match(w, t, &m), NR_OK);
    rows = calloc(m.n + 1, sizeof(*rows));
    assert_non_null(rows);
    for (size_t i = 0; i < m.n; i++) {
        struct nr_indicator x = nr_watchlist_get(w, m.v[i].indicator);
        unsigned said = 0;
        char row[300];

        for (size_t k = 0; k < x.n_claims; k++)
            said |= 1u
                << (nr_watchlist_claim(w, m.v[i].indicator, k).source.p[1] -
                       '0');
        (void)snprintf(row, sizeof(row), "%04u %.*s %02x %zu", m.v[i].line,
            (int)nr_min(x.value.n, 200), x.value.p, said, x.n_claims);
        rows[i] = strdup(row);
    }
    qsort(rows, m.n, sizeof(*rows), by_text);
    nr_buf_init(&out, 1 << 24);
    for (size_t i = 0; i < m.n; i++) {
        nr_buf_printf(&out, "%s\n", rows[i]);
        free(rows[i]);
    }
    assert_non_null(nr_buf_cstr(&out));
    text = strdup((const char *)out.p);
    free(rows);
    nr_buf_fini(&out);
    nr_matches_fini(&m);
    return text;
}

static void
check_same(const char *path, const struct model *m, const struct nr_tokens *t)
{
    struct nr_watchlist_builder *b = builder_of(m);
    struct nr_watchlist *want = NULL, *have = NULL;
    char *x, *y;
    uint8_t buf[64];

    assert_int_equal(nr_watchlist_build(b, 0, &want, NULL), NR_OK);
    assert_int_equal(nr_watchlist_open(path, &have, NULL), NR_OK);
    assert_int_equal(nr_watchlist_verify(have, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(have), nr_watchlist_count(want));
    x = answers(want, t);
    y = answers(have, t);
    assert_string_equal(x, y);
    for (size_t i = 0; i < nr_watchlist_count(have); i++) {
        struct nr_indicator ind = nr_watchlist_get(have, i);
        struct nr_indicator bare = nr_watchlist_bare(have, i);
        size_t at = SIZE_MAX;

        assert_int_equal(bare.kind, ind.kind);
        assert_true(nr_bytes_eq(bare.key, ind.key));
        assert_int_equal(bare.n_claims, ind.n_claims);
        assert_true(nr_str_eq(bare.value, ind.value) || bare.value.n == 0);

        assert_true(nr_watchlist_find(have, ind.kind, ind.key, &at));
        assert_int_equal(at, i);
    }
    for (size_t i = 0; i < NAMES; i++) {
        struct nr_indicator ind = indicator(i, buf);
        size_t at;

        assert_int_equal(nr_watchlist_find(have, ind.kind, ind.key, &at),
            m->sources[i] != 0);
    }
    free(x);
    free(y);
    nr_watchlist_close(want);
    nr_watchlist_close(have);
    nr_watchlist_builder_destroy(b);
}

/* One round of changes, to the model and to a builder. */
static void
change(struct model *m, struct nr_watchlist_builder *b, uint64_t *rnd)
{
    uint8_t buf[64];

    for (size_t n = next_random(rnd) % 30; n > 0; n--) {
        size_t i = next_random(rnd) % NAMES;
        unsigned k = (unsigned)next_random(rnd) % 8;
        struct nr_indicator ind = indicator(i, buf);

        switch (next_random(rnd) % 4) {
        case 0: /* renewed: what was said before goes */
            assert_int_equal(nr_watchlist_remove(b, ind.kind, ind.key, NULL),
                NR_OK);
            add(b, i, k);
            m->sources[i] = (uint8_t)(1u << k);
            break;
        case 1:
            assert_int_equal(nr_watchlist_remove(b, ind.kind, ind.key, NULL),
                NR_OK);
            m->sources[i] = 0;
            break;
        default:
            add(b, i, k);
            m->sources[i] |= (uint8_t)(1u << k);
            break;
        }
    }
}

struct place {
    char dir[32], path[NR_PATH_MAX];
};

static void
place_make(struct place *p)
{
    memcpy(p->dir, "/tmp/nr-list-XXXXXX", 20);
    assert_non_null(mkdtemp(p->dir));
    assert_int_equal(nr_path_join(p->path, p->dir, "list", NULL), NR_OK);
}

static void
place_remove(struct place *p)
{
    struct nr_arena a;
    struct nr_names names;
    char path[NR_PATH_MAX];

    nr_arena_init(&a, 1 << 20);
    assert_int_equal(nr_dir_list(&a, p->dir, 100, &names, NULL), NR_OK);
    for (size_t i = 0; i < names.n; i++) {
        assert_int_equal(nr_path_join(path, p->dir, names.v[i], NULL), NR_OK);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(p->dir), 0);
    nr_arena_fini(&a);
}

static void
write_model(const struct place *p, const struct model *m)
{
    struct nr_watchlist_builder *b = builder_of(m);

    assert_int_equal(nr_watchlist_write(b, p->path, 1, NULL), NR_OK);
    nr_watchlist_builder_destroy(b);
}

/* Random changes, now and then merged: the same answers as a list that is
 * built anew. */
static void
test_changes(void **state)
{
    uint64_t rnd = 4711;
    struct nr_tokens t;
    struct place p;
    struct model m = { 0 };
    size_t most = 0;

    (void)state;
    place_make(&p);
    scan_all(&t);
    for (size_t i = 0; i < NAMES; i += 3)
        m.sources[i] = 1;
    write_model(&p, &m);
    for (size_t round = 0; round < 60; round++) {
        struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
        struct nr_watchlist_change done = { 0 };

        change(&m, b, &rnd);
        assert_int_equal(nr_watchlist_update(p.path, b, 2, &done, NULL), NR_OK);
        most = nr_max(most, done.deltas);
        check_same(p.path, &m, &t);
        if (next_random(&rnd) % 16 == 0) {
            assert_int_equal(nr_watchlist_merge(p.path, KEY, 3, NULL), NR_OK);
            check_same(p.path, &m, &t);
        }
        nr_watchlist_builder_destroy(b);
    }
    assert_int_equal(most, NR_WATCHLIST_DELTAS);
    nr_tokens_fini(&t);
    place_remove(&p);
}

static void
test_counts(void **state)
{
    struct model m = { .sources = { [0] = 1, [1] = 1, [2] = 1 } };
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct nr_watchlist_change done;
    struct nr_watchlist *w = NULL;
    struct place p;
    uint8_t buf[64];
    struct nr_indicator two = indicator(2, buf), nine;
    struct stat before, after;
    uint8_t buf9[64];

    (void)state;
    nine = indicator(9, buf9);
    place_make(&p);
    assert_int_equal(nr_watchlist_update(p.path, b, 1, &done, NULL),
        NR_ENOTFOUND);
    assert_int_not_equal(access(p.path, F_OK), 0);
    write_model(&p, &m);
    assert_int_equal(stat(p.path, &before), 0);
    add(b, 0, 0); /* nothing new */
    add(b, 1, 5); /* another source */
    add(b, 4, 0); /* new */
    assert_int_equal(nr_watchlist_remove(b, two.kind, two.key, NULL), NR_OK);
    assert_int_equal(nr_watchlist_remove(b, nine.kind, nine.key, NULL), NR_OK);
    assert_int_equal(nr_watchlist_builder_count(b), 3);
    assert_int_equal(nr_watchlist_update(p.path, b, 9, &done, NULL), NR_OK);
    assert_int_equal(done.added, 1);
    assert_int_equal(done.changed, 1);
    assert_int_equal(done.removed, 1);
    assert_int_equal(done.absent, 1);
    assert_int_equal(done.deltas, 1);
    assert_int_equal(done.base_n, 3);
    assert_int_equal(done.delta_n, 2);
    assert_int_equal(stat(p.path, &after), 0);
    assert_true(before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
        before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
    assert_int_equal(nr_watchlist_open(p.path, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(w), 3);
    assert_int_equal(nr_watchlist_created_s(w), 9);
    nr_watchlist_close(w);
    /* the same again changes nothing but takes no room */
    assert_int_equal(nr_watchlist_update(p.path, b, 9, &done, NULL), NR_OK);
    assert_int_equal(done.added + done.changed + done.removed, 0);
    assert_int_equal(done.deltas, 1);
    /* a whole new list has no deltas */
    write_model(&p, &m);
    assert_int_equal(nr_watchlist_open(p.path, &w, NULL), NR_OK);
    assert_true(nr_watchlist_find(w, two.kind, two.key, &(size_t){ 0 }));
    nr_watchlist_close(w);
    nr_watchlist_builder_destroy(b);
    place_remove(&p);
}

/* One handle is one version, whatever happens to the files. */
static void
test_readers(void **state)
{
    struct model m = { .sources = { [0] = 1, [4] = 1 } };
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct nr_watchlist *old = NULL, *new = NULL;
    struct place p;
    uint8_t buf[64];
    struct nr_indicator i = indicator(4, buf);
    size_t at;

    (void)state;
    place_make(&p);
    write_model(&p, &m);
    assert_int_equal(nr_watchlist_open(p.path, &old, NULL), NR_OK);
    assert_ptr_equal(nr_watchlist_ref(old), old);
    assert_int_equal(nr_watchlist_remove(b, i.kind, i.key, NULL), NR_OK);
    assert_int_equal(nr_watchlist_update(p.path, b, 1, NULL, NULL), NR_OK);
    assert_int_equal(nr_watchlist_merge(p.path, KEY, 1, NULL), NR_OK);
    assert_int_equal(nr_watchlist_open(p.path, &new, NULL), NR_OK);
    nr_watchlist_close(old); /* one user is left */
    assert_true(nr_watchlist_find(old, i.kind, i.key, &at));
    assert_false(nr_watchlist_find(new, i.kind, i.key, &at));
    assert_true(nr_watchlist_version(old) != nr_watchlist_version(new));
    nr_watchlist_close(old);
    nr_watchlist_close(new);
    nr_watchlist_builder_destroy(b);
    place_remove(&p);
}

/* Opened again, it shares the files that did not change, whichever is closed
 * first, and no page of them is read again. */
static void
test_reopen(void **state)
{
    struct model m = { .sources = { [0] = 1, [4] = 1 } };
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct nr_watchlist *v[4] = { 0 };
    struct place p;
    size_t at;

    (void)state;
    place_make(&p);
    write_model(&p, &m);
    assert_int_equal(nr_watchlist_reopen(p.path, NULL, &v[0], NULL), NR_OK);
    for (size_t i = 1; i < 4; i++) {
        uint8_t buf[64];
        struct nr_indicator x = indicator(8 * i, buf);

        add(b, 8 * i, 0);
        assert_int_equal(nr_watchlist_update(p.path, b, 1, NULL, NULL), NR_OK);
        assert_int_equal(nr_watchlist_reopen(p.path, v[i - 1], &v[i], NULL),
            NR_OK);
        assert_int_equal(v[i]->n_layers, i + 1);
        for (size_t k = 0; k < i; k++)
            assert_ptr_equal(v[i]->layers[k].file.p,
                v[i - 1]->layers[k].file.p);
        assert_true(nr_watchlist_find(v[i], x.kind, x.key, &at));
        assert_false(nr_watchlist_find(v[i - 1], x.kind, x.key, &at));
    }
    nr_watchlist_close(v[0]);
    nr_watchlist_close(v[2]);
    assert_int_equal(nr_watchlist_verify(v[1], NULL), NR_OK);
    nr_watchlist_close(v[1]);
    assert_int_equal(nr_watchlist_verify(v[3], NULL), NR_OK);
    /* another base shares nothing, though its content is the same */
    write_model(&p, &m);
    assert_int_equal(nr_watchlist_reopen(p.path, v[3], &v[0], NULL), NR_OK);
    assert_int_equal(v[0]->n_layers, 1);
    assert_ptr_not_equal(v[0]->layers[0].file.p, v[3]->layers[0].file.p);
    nr_watchlist_close(v[3]);
    assert_int_equal(nr_watchlist_verify(v[0], NULL), NR_OK);
    nr_watchlist_close(v[0]);
    nr_watchlist_builder_destroy(b);
    place_remove(&p);
}

static void
sum_said(void *ctx, size_t i, size_t n)
{
    size_t *sum = ctx;

    assert_true(i < 3);
    *sum += n;
}

/* What is counted is there: kinds, sayings, judges. */
static void
test_numbers(void **state)
{
    struct model m = { .sources = { [0] = 1, [1] = 1, [4] = 2 } };
    struct nr_watchlist_builder *b = builder_of(&m);
    struct nr_watchlist_stat st;
    struct nr_watchlist *w = NULL;
    struct nr_indicator name = nr_indicator_of(NR_KIND_FILENAME,
        NR_BYTES("a.exe"));
    struct place p;
    size_t sum = 0;

    (void)state;
    place_make(&p);
    assert_int_equal(nr_watchlist_add(b, &name, NULL), NR_OK);
    nr_watchlist_judged_by(b, 77);
    assert_int_equal(nr_watchlist_write(b, p.path, 5, NULL), NR_OK);
    nr_watchlist_builder_destroy(b);
    b = nr_watchlist_builder_create(KEY);
    assert_int_equal(nr_watchlist_add(b, &name, NULL), NR_OK);
    assert_int_equal(nr_watchlist_remove_all(b, NULL), NR_OK);
    assert_int_equal(nr_watchlist_builder_count(b), 0);
    assert_int_equal(nr_watchlist_update(p.path, b, 9, NULL, NULL), NR_OK);
    assert_int_equal(nr_watchlist_open(p.path, &w, NULL), NR_OK);
    nr_watchlist_stat(w, &st);
    assert_int_equal(st.indicators, 3);
    assert_int_equal(st.gone, 1);
    assert_int_equal(st.by_kind[NR_KIND_FILENAME], 0);
    assert_int_equal(st.by_kind[NR_KIND_DOMAIN], 2);
    assert_int_equal(st.base_created_s, 5);
    assert_int_equal(nr_watchlist_unmatched_count(w), 0);
    assert_int_equal(nr_watchlist_sayings(w, sum_said, &sum, NULL), NR_OK);
    assert_int_equal(sum, 3);
    assert_int_equal(nr_watchlist_warn_version(w), 77); /* only removed */
    nr_watchlist_close(w);
    assert_int_equal(nr_watchlist_add(b, &name, NULL), NR_OK);
    nr_watchlist_judged_by(b, 78);
    assert_int_equal(nr_watchlist_update(p.path, b, 9, NULL, NULL), NR_OK);
    assert_int_equal(nr_watchlist_open(p.path, &w, NULL), NR_OK);
    assert_int_not_equal(nr_watchlist_warn_version(w), 77);
    assert_int_not_equal(nr_watchlist_warn_version(w), 78);
    assert_int_equal(nr_watchlist_unmatched_count(w), 1);
    nr_watchlist_close(w);
    nr_watchlist_builder_destroy(b);
    place_remove(&p);
}

static void
copy_file(const char *from, const char *to)
{
    struct nr_arena a;
    struct nr_bytes octets;

    nr_arena_init(&a, 1 << 24);
    assert_int_equal(nr_file_read(&a, from, 1 << 22, &octets, NULL), NR_OK);
    assert_int_equal(nr_file_replace(to, octets, 0600, NULL), NR_OK);
    nr_arena_fini(&a);
}

/* Deltas of another base, or out of order, are not of this list. */
static void
test_strays(void **state)
{
    struct model m = { .sources = { [0] = 1 } };
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct nr_watchlist *w = NULL;
    struct nr_diag d = { 0 };
    struct place p;
    static char d1[NR_PATH_MAX], d2[NR_PATH_MAX], kept[NR_PATH_MAX];

    (void)state;
    place_make(&p);
    assert_int_equal(nr_wl_delta_path(p.path, 1, d1, NULL), NR_OK);
    assert_int_equal(nr_wl_delta_path(p.path, 2, d2, NULL), NR_OK);
    assert_int_equal(nr_path_join(kept, p.dir, "kept", NULL), NR_OK);
    write_model(&p, &m);
    add(b, 4, 0);
    assert_int_equal(nr_watchlist_update(p.path, b, 1, NULL, NULL), NR_OK);
    assert_int_equal(nr_watchlist_open(d1, &w, &d), NR_EFORMAT);
    assert_non_null(strstr(d.what, "name the list itself"));
    copy_file(d1, kept);
    copy_file(d1, d2); /* of level 1, where one of level 2 belongs */
    assert_int_equal(nr_watchlist_open(p.path, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(w), 2);
    nr_watchlist_close(w);
    assert_int_equal(nr_watchlist_merge(p.path, (uint64_t[]){ 1, 2 }, 1, NULL),
        NR_OK);
    copy_file(kept, d1); /* as if a crash had left it there */
    assert_int_equal(nr_watchlist_open(p.path, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(w), 2);
    nr_watchlist_close(w);
    /* but a damaged one is named: it may be of this list */
    assert_int_equal(nr_file_replace(d1, NR_BYTES("NRWL??"), 0600, NULL),
        NR_OK);
    d = (struct nr_diag){ 0 };
    assert_int_not_equal(nr_watchlist_open(p.path, &w, &d), NR_OK);
    assert_string_equal(d.name, d1);
    nr_watchlist_builder_destroy(b);
    place_remove(&p);
}

/* A disk that is full at any octet: the list stays what it was. */
static void
test_full_disk(void **state)
{
    struct model m = { .sources = { [0] = 1 } };
    struct rlimit was, now;
    struct nr_tokens t;
    struct place p;
    size_t failed = 0;

    (void)state;
    place_make(&p);
    scan_all(&t);
    write_model(&p, &m);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    for (rlim_t n = 1; n < 60000; n += 1999) {
        struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
        struct nr_diag d = { 0 };
        enum nr_err err;

        add(b, 4, 0);
        now = (struct rlimit){ n, was.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
        err = nr_watchlist_update(p.path, b, 1, NULL, &d);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
        if (err != NR_OK) {
            assert_int_equal(err, NR_ESYS);
            assert_int_equal(d.sys, EFBIG);
            failed++;
        } else {
            m.sources[4] |= 1;
        }
        check_same(p.path, &m, &t);
        nr_watchlist_builder_destroy(b);
    }
    assert_true(failed > 5);
    assert_int_equal(m.sources[4], 1);
    assert_true(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    nr_tokens_fini(&t);
    place_remove(&p);
}

/* --- collisions --- */

/* Addresses whose hash begins with 11 zero bits under KEY: as if they all had
 * the same place. */
static size_t
craft(uint8_t (*keys)[4], size_t n)
{
    struct nr_sieve_key key = { { KEY[0], KEY[1] } };
    size_t found = 0;

    for (uint32_t a = 1; found < n; a++) {
        uint8_t k[4] = { (uint8_t)(a >> 24), (uint8_t)(a >> 16),
            (uint8_t)(a >> 8), (uint8_t)a };

        if (nr_sieve_hash(&key, NR_KIND_IPV4, (struct nr_bytes){ k, 4 }) >>
                53 ==
            0)
            memcpy(keys[found++], k, 4);
    }
    return found;
}

#define CRAFTED ((size_t)1500)

static void
put_crafted(struct nr_watchlist_builder *b, uint8_t (*keys)[4])
{
    for (size_t i = 0; i < CRAFTED; i++) {
        struct nr_indicator ind = nr_indicator_of(NR_KIND_IPV4,
            (struct nr_bytes){ keys[i], 4 });

        assert_int_equal(nr_watchlist_add(b, &ind, NULL), NR_OK);
    }
}

/* Who knows the key cannot make a list of long searches: it gets another key.
 * What is asked of it, in the list or not, reads no more than is allowed. */
static void
check_reads(const struct nr_watchlist *w, uint8_t (*keys)[4])
{
    size_t worst = 0, number;

    for (size_t i = 0; i < CRAFTED; i++) {
        size_t read = 0;
        uint8_t other[4] = { keys[i][0], keys[i][1], keys[i][3], keys[i][2] };

        assert_true(nr_wl_find(w, NR_KIND_IPV4, (struct nr_bytes){ keys[i], 4 },
            &number, &read));
        worst = nr_max(worst, read);
        read = 0;
        (void)!nr_wl_find(w, NR_KIND_IPV4, (struct nr_bytes){ other, 4 },
            &number, &read);
        worst = nr_max(worst, read);
    }
    assert_true(worst < NR_WATCHLIST_PROBES / 4); /* of 1500 in one place */
}

static void
test_collisions(void **state)
{
    static uint8_t keys[CRAFTED][4];
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct model m = { .sources = { [0] = 1 } };
    struct nr_watchlist *w = NULL;
    struct place p;

    (void)state;
    assert_int_equal(craft(keys, CRAFTED), CRAFTED);
    put_crafted(b, keys);
    assert_true(b->key.k[0] != KEY[0]);
    assert_int_equal(nr_watchlist_build(b, 0, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_verify(w, NULL), NR_OK);
    check_reads(w, keys);
    nr_watchlist_close(w);
    nr_watchlist_builder_destroy(b);
    /* as changes to a list under that key: the list is built anew */
    place_make(&p);
    write_model(&p, &m);
    b = nr_watchlist_builder_create((const uint64_t[]){ 5, 6 });
    put_crafted(b, keys);
    assert_int_equal(nr_watchlist_update(p.path, b, 1, NULL, NULL), NR_OK);
    assert_int_equal(nr_watchlist_open(p.path, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(w), CRAFTED + 1);
    assert_int_equal(nr_watchlist_verify(w, NULL), NR_OK);
    check_reads(w, keys);
    nr_watchlist_close(w);
    nr_watchlist_builder_destroy(b);
    place_remove(&p);
}

/* A hostile file: every slot used and all of one tag. A look-up ends. */
static void
test_full_slots(void **state)
{
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct nr_watchlist *w = NULL;
    struct nr_wl_layer *l;
    struct nr_sieve_slot *slots;
    uint8_t key[4] = { 9, 9, 9, 9 };
    size_t read = 0, number;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct nr_indicator ind = nr_indicator_of(NR_KIND_IPV4,
            (struct nr_bytes){
                (uint8_t[]){ 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, 4 });

        assert_int_equal(nr_watchlist_add(b, &ind, NULL), NR_OK);
    }
    assert_int_equal(nr_watchlist_build(b, 0, &w, NULL), NR_OK);
    l = &w->layers[0];
    slots = calloc(l->n_slots, sizeof(*slots));
    assert_non_null(slots);
    for (size_t i = 0; i < l->n_slots; i++)
        slots[i] = (struct nr_sieve_slot){
            (uint32_t)nr_sieve_hash(&l->head->key, NR_KIND_IPV4,
                (struct nr_bytes){ key, 4 }),
            i % 2 ? UINT32_MAX : 1
        };
    l->slots = slots;
    assert_false(nr_wl_find(w, NR_KIND_IPV4, (struct nr_bytes){ key, 4 },
        &number, &read));
    assert_int_equal(read, NR_WATCHLIST_PROBES);
    assert_int_equal(nr_watchlist_verify(w, NULL), NR_EDAMAGED);
    nr_watchlist_close(w);
    free(slots);
    nr_watchlist_builder_destroy(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_changes),
        NR_TEST(test_counts),
        NR_TEST(test_readers),
        NR_TEST(test_reopen),
        NR_TEST(test_numbers),
        NR_TEST(test_strays),
        NR_TEST(test_full_disk),
        NR_TEST(test_collisions),
        NR_TEST(test_full_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
