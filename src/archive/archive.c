#include "archive/runs.h"
#include "archive/store.h"

#include "base/ct.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_OCTETS ((size_t)20) /* 16 hexadecimal digits and ".seg" */
#define FILES_MAX   (NR_ARCHIVE_SEGMENTS_MAX * 2)
#define LIST_MEMORY ((size_t)1 << 28)

void
store_say(struct nr_archive *a, const struct nr_diag *d)
{
    a->damaged += d->err == NR_EDAMAGED;
    if (a->problem.say)
        a->problem.say(a->problem.ctx, d);
}

/* Lower-case hexadecimal, then ".seg". */
static bool
is_segment(const char *name, uint64_t *seq)
{
    uint64_t v = 0;
    size_t n = strlen(name);

    if (n != NAME_OCTETS || strcmp(name + 16, ".seg") != 0)
        return false;
    for (size_t i = 0; i < 16; i++) {
        uint8_t c = (uint8_t)name[i];

        if (!nr_is_hex(c) || nr_lower(c) != c)
            return false;
        v = v << 4 | nr_hex_value(c);
    }
    *seq = v;
    return true;
}

/* What a writer that was killed left behind. */
static bool
is_leftover(const char *name)
{
    return strlen(name) == 27 && strncmp(name + 16, ".tmp.", 5) == 0;
}

static enum nr_err
take_days(struct nr_archive *a, struct segment *s, struct nr_diag *d)
{
    struct seg_presence p;
    struct nr_cur c;
    enum nr_err err = segment_presence_begin(s, &c, d);

    if (err)
        return err;
    while (segment_presence_next(&c, &p)) {
        if (p.kind >= NR_LOG_KINDS || p.first_day % 8 != 0)
            continue;
        if (!a->days[p.kind])
            a->days[p.kind] = calloc(STORE_DAYS_OCTETS, 1);
        if (!a->days[p.kind])
            return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for days");
        for (size_t i = 0; i < p.days.n; i++) {
            size_t at = (size_t)p.first_day / 8 + i;

            if (at < STORE_DAYS_OCTETS)
                a->days[p.kind][at] |= p.days.p[i];
        }
    }
    if (c.err)
        return nr_fail_name(d, NR_EDAMAGED, "segment: days are not sound",
            segment_name(s));
    return NR_OK;
}

static enum nr_err
take_segment(struct nr_archive *a, const char *name, struct nr_diag *d)
{
    struct segment *s = NULL, **v;
    enum nr_err err = segment_open(a->dir, name, a->key, &s, d);

    if (err)
        return err;
    if (a->n == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 16;

        v = realloc(a->v, cap * sizeof(*v));
        if (v) {
            a->v = v;
            a->cap = cap;
        } else {
            err = nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
        }
    }
    if (err)
        segment_close(s);
    else
        a->v[a->n++] = s;
    return err;
}

enum nr_err
store_take(struct nr_archive *a, const char *name, struct nr_diag *d)
{
    enum nr_err err = take_segment(a, name, d);

    if (err)
        return err;
    err = take_days(a, a->v[a->n - 1], d);
    if (!err)
        err = streams_take(a, a->v[a->n - 1], d);
    if (err)
        segment_close(a->v[--a->n]);
    return err;
}

/* A file that is no sound segment. */
struct broken {
    uint64_t seq;
    struct nr_diag why;
};

/* Say those of V[0..n) whose content no other segment has. */
static enum nr_err
say_broken(struct nr_archive *a, struct nr_arena *arena, const struct broken *v,
    size_t n, struct nr_diag *d)
{
    uint64_t *seq = nr_new(arena, uint64_t, n + 1);
    size_t left = n;
    enum nr_err err;

    if (!seq)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    for (size_t i = 0; i < n; i++)
        seq[i] = v[i].seq;
    err = store_hide(a, seq, &left, d);
    for (size_t i = 0, k = 0; !err && i < n && k < left; i++)
        if (v[i].seq == seq[k]) {
            store_say(a, &v[i].why);
            k++;
        }
    return err;
}

/* Days and streams of what is asked. */
static enum nr_err
take_presence(struct nr_archive *a, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    size_t kept = 0;

    for (size_t i = 0; i < a->n; i++) {
        struct nr_diag why = { 0 };

        if (!err)
            err = take_days(a, a->v[i], &why);
        if (!err)
            err = streams_take(a, a->v[i], &why);
        if (err == NR_EDAMAGED) {
            store_say(a, &why);
            segment_close(a->v[i]);
            err = NR_OK;
            continue;
        }
        if (err && why.err && d)
            *d = why;
        a->v[kept++] = a->v[i];
    }
    a->n = kept;
    return err;
}

/* Every segment of the directory; a damaged one is said and left out. One
 * that is gone since the listing was pruned: its lines are no longer asked. */
static enum nr_err
take_all(struct nr_archive *a, struct nr_diag *d)
{
    struct nr_arena arena;
    struct nr_names names = { 0 };
    struct broken *broken;
    size_t n = 0;
    enum nr_err err;

    nr_arena_init(&arena, LIST_MEMORY);
    err = nr_dir_list(&arena, a->dir, FILES_MAX, &names, d);
    broken = err ? NULL : nr_new(&arena, struct broken, names.n + 1);
    if (!err && !broken)
        err = nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    for (size_t i = 0; !err && i < names.n; i++) {
        struct nr_diag why = { 0 };
        uint64_t seq;

        if (a->mode == NR_ARCHIVE_WRITE && is_leftover(names.v[i])) {
            char path[NR_PATH_MAX];

            err = nr_path_join(path, a->dir, names.v[i], d);
            if (!err)
                (void)unlink(path);
            continue;
        }
        if (runs_is_name(names.v[i], &seq)) {
            err = runs_take(a, names.v[i], d);
            continue;
        }
        if (!is_segment(names.v[i], &seq))
            continue;
        if (seq >= a->next_seq)
            a->next_seq = seq + 1;
        err = take_segment(a, names.v[i], &why);
        if (err == NR_EDAMAGED || err == NR_EFORMAT) {
            why.err = NR_EDAMAGED;
            broken[n++] = (struct broken){ seq, why };
            err = NR_OK;
        } else if (err == NR_ENOTFOUND) {
            err = NR_OK;
        } else if (err && d) {
            *d = why;
        }
    }
    if (!err)
        err = say_broken(a, &arena, broken, n, d);
    nr_arena_fini(&arena);
    return err ? err : take_presence(a, d);
}

/* A sealed archive needs its key. */
static enum nr_err
unseal(struct nr_archive *a, struct nr_diag *d)
{
    uint8_t id[NR_ARCHIVE_KEY_ID_LEN];
    bool sealed = false;
    enum nr_err err = seal_marker(a->dir, &sealed, id, d);

    if (err || !sealed)
        return err;
    if (!a->problem.key)
        return nr_fail_name(d, NR_EDENIED,
            "archive: is sealed and needs its key", a->dir);
    if (memcmp(id, a->problem.key->id, sizeof(id)) != 0)
        return nr_fail_name(d, NR_EDENIED,
            "archive: is sealed with another key", a->dir);
    a->own = *a->problem.key;
    a->key = &a->own;
    return NR_OK;
}

enum nr_err
nr_archive_open(const char *dir, enum nr_archive_mode mode,
    const struct nr_archive_caller *p, struct nr_archive **out,
    struct nr_diag *d)
{
    struct nr_archive *a = calloc(1, sizeof(*a));
    char path[NR_PATH_MAX];
    enum nr_err err = NR_OK;

    if (!a)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    a->lock = -1;
    a->mode = mode;
    a->next_seq = 1;
    if (p)
        a->problem = *p;
    if (strlen(dir) >= sizeof(a->dir))
        err = nr_fail_name(d, NR_ELIMIT, "path: too long", dir);
    else
        memcpy(a->dir, dir, strlen(dir) + 1);
    if (!err && mode == NR_ARCHIVE_WRITE) {
        err = nr_dir_make(dir, 0700, d);
        if (!err)
            err = nr_path_join(path, dir, "lock", d);
        if (!err)
            err = nr_file_lock(path, &a->lock, d);
    }
    if (!err && access(dir, F_OK) != 0)
        err = errno == ENOENT
            ? nr_fail_name(d, NR_ENOTFOUND,
                  "archive: does not exist; noroshi archive add makes it", dir)
            : nr_fail_file(d, "archive: cannot be opened", dir);
    if (!err)
        err = unseal(a, d);
    if (!err)
        err = take_all(a, d);
    if (!err && mode == NR_ARCHIVE_READ)
        err = store_rhythm(a, d);
    if (err)
        nr_archive_close(a);
    else
        *out = a;
    return err;
}

void
nr_archive_close(struct nr_archive *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++)
        segment_close(a->v[i]);
    for (size_t k = 0; k < NR_LOG_KINDS; k++)
        free(a->days[k]);
    streams_clear(a);
    runs_close(a);
    if (a->lock >= 0)
        close(a->lock);
    free(a->hidden);
    free(a->v);
    nr_wipe(&a->own, sizeof(a->own));
    free(a);
}

size_t
nr_archive_damaged(const struct nr_archive *a)
{
    return a->damaged;
}

void
nr_archive_stat(const struct nr_archive *a, struct nr_archive_stat *out)
{
    struct nr_archive_stat st = { .segments = a->n,
        .damaged = a->damaged,
        .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE };

    for (size_t i = 0; i < a->n; i++) {
        struct nr_segment_info x = nr_archive_segment(a, i);

        st.blocks += x.blocks;
        st.files += x.files;
        st.lines += x.lines;
        st.text += x.text;
        st.stored += x.stored;
        st.index += segment_index_size(a->v[i]);
        st.observables += segment_info(a->v[i])->observables;
        st.without_urls += (segment_info(a->v[i])->flags & SEG_I_NO_URLS) != 0;
        if (x.first_s == NR_TIME_NONE)
            continue;
        if (st.first_s == NR_TIME_NONE || x.first_s < st.first_s)
            st.first_s = x.first_s;
        if (st.last_s == NR_TIME_NONE || x.last_s > st.last_s)
            st.last_s = x.last_s;
    }
    st.runs = a->n_runs;
    for (size_t i = 0; i < a->n_runs; i++)
        st.index += run_size(a->runs[i]);
    *out = st;
}

size_t
nr_archive_segments(const struct nr_archive *a)
{
    return a->n;
}

struct nr_segment_info
nr_archive_segment(const struct nr_archive *a, size_t i)
{
    const struct seg_info *x = segment_info(a->v[i]);

    return (struct nr_segment_info){
        .name = segment_name(a->v[i]),
        .seq = x->seq,
        .sum = segment_sum(a->v[i]),
        .lines = x->lines,
        .text = x->text,
        .stored = segment_size(a->v[i]),
        .blocks = segment_blocks(a->v[i]),
        .files = segment_file_count(a->v[i]),
        .first_s = x->first_s,
        .last_s = x->last_s,
        .sources = x->sources,
        .kinds = x->kinds,
    };
}

enum nr_err
nr_archive_verify(struct nr_archive *a, struct nr_diag *d)
{
    for (size_t i = 0; i < a->n; i++) {
        struct nr_diag why = { 0 };
        enum nr_err err = segment_verify(a->v[i], &why);

        if (err && err != NR_EDAMAGED) {
            if (d)
                *d = why;
            return err;
        }
        if (err)
            store_say(a, &why);
    }
    if (a->damaged > 0)
        return nr_fail_name(d, NR_EDAMAGED,
            "archive: damaged segments; restore them or remove their files "
            "and add the logs again",
            a->dir);
    return NR_OK;
}

bool
nr_archive_is_before(const struct nr_archive *a, size_t i, int64_t day)
{
    const struct seg_info *x = segment_info(a->v[i]);

    int64_t last = x->created_s + NR_S_PER_DAY; /* clocks may differ */

    /* A line of 2099 must not keep a segment for ever, nor one without time. */
    if (x->last_s != NR_TIME_NONE && x->last_s < last)
        last = x->last_s;
    return nr_day_of(last) < day;
}

/* Presence anew, from the segments that are left. */
enum nr_err
store_recount(struct nr_archive *a, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t k = 0; k < NR_LOG_KINDS; k++) {
        free(a->days[k]);
        a->days[k] = NULL;
    }
    streams_clear(a);
    for (size_t i = 0; !err && i < a->n; i++) {
        err = take_days(a, a->v[i], d);
        if (!err)
            err = streams_take(a, a->v[i], d);
    }
    return err;
}

enum nr_err
store_drop(struct nr_archive *a, size_t i, const struct nr_diag *why,
    struct nr_diag *d)
{
    store_say(a, why);
    segment_close(a->v[i]);
    for (a->n--; i < a->n; i++)
        a->v[i] = a->v[i + 1];
    return store_recount(a, d);
}
