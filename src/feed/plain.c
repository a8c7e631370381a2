/*
 * The lines of a list that are plain: "kind<TAB>value", or a value alone. They
 * become what nr_feed_take() makes of them, in a tenth of the time; all others
 * are left to it.
 *
 * Lines are read ahead, JOB_LINES at a time, and in a long text by a thread:
 * what a line is depends on nothing that stands before it. They are taken in
 * their order by who asks for them.
 */
#include "feed/take.h"
#include "observable/observable.h"

#include "base/num.h"
#include "base/thread.h"

#include <stdlib.h>

#define LINES_MIN  ((size_t)4096)    /* for which room is made at once */
#define SAMPLE     ((size_t)1 << 18) /* octets by which lines are counted */
#define LINE_MIN   ((size_t)8)       /* octets of the shortest likely line */
#define JOB_LINES  ((size_t)2048)
#define BESIDE_MIN ((size_t)2 << 20) /* octets for which a thread is worth it */
#define NAMES      ((size_t)32)      /* names of columns remembered */
#define COLUMN_MAX ((size_t)24)      /* octets of one */

enum sort {
    SORT_NONE, /* not a column that plain values stand in */
    SORT_KIND,
    SORT_ADDRESS, /* addresses and ranges of both families */
    SORT_GUESS,
};

struct column {
    size_t n; /* octets of NAME; 0: none yet */
    uint8_t name[COLUMN_MAX];
    enum sort sort;
    enum nr_kind kind; /* of SORT_KIND */
};

/* Some lines, as they were read. */
struct job {
    struct nr_feed_line v[JOB_LINES];
    uint8_t octets[JOB_LINES][NR_PLAIN_MAX]; /* of keys that are no text */
    size_t n;
};

struct nr_feed_lines {
    /* of who reads ahead */
    struct nr_bytes in;
    size_t at;
    bool list;
    const struct nr_warnlists *warn;
    struct column columns[NAMES];
    /* of who asks */
    size_t job, next; /* the line to come */
    bool has_job;
    struct nr_feed *f;
    uint32_t about; /* the builder's number of what is said of all values */
    bool has_about;
    struct nr_str reference; /* in ABOUT */
    /* of both, under LOCK */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool full[2], stop;
    bool has_lock, beside; /* LOCK is there; THREAD is */
    struct job jobs[2];
};

/* The kinds that a column of type T may hold: one, or two for addresses. */
static bool
sort_of(const struct nr_feed_type *t, enum sort *sort, enum nr_kind *kind)
{
    struct nr_str part = nr_str_of(t->parts[0] ? t->parts[0] : "?");

    *sort = SORT_NONE;
    if (t->sort != NR_FEED_SORT_VALUE || strchr(t->name, '|'))
        return false;
    if (part.n == 0)
        *sort = SORT_GUESS;
    else if (nr_str_eq(part, NR_STR("ip")) || nr_str_eq(part, NR_STR("cidr")))
        *sort = SORT_ADDRESS;
    else if (nr_kind_from_name(part, kind))
        *sort = SORT_KIND;
    return *sort != SORT_NONE;
}

/* The column named NAME, remembered. NULL: not one of ours. */
static const struct column *
column_of(struct nr_feed_lines *p, struct nr_bytes name)
{
    struct column *s;

    if (name.n == 0 || name.n > sizeof(s->name))
        return NULL;
    s = &p->columns[(name.p[0] * 7u + name.p[name.n - 1] + name.n * 5u) %
        NAMES];
    if (s->n != name.n || memcmp(s->name, name.p, name.n) != 0) {
        struct nr_str str;

        *s = (struct column){ .n = name.n };
        memcpy(s->name, name.p, name.n);
        if (nr_str_from_utf8(name, &str))
            (void)sort_of(nr_feed_type(str), &s->sort, &s->kind);
    }
    return s->sort == SORT_NONE ? NULL : s;
}

/* "ip" and "cidr": four kinds, told apart by their octets. */
static bool
address(struct nr_bytes text, enum nr_kind *kind, uint8_t *buf,
    struct nr_bytes *key)
{
    bool six = memchr(text.p, ':', text.n) != NULL;

    if (memchr(text.p, '/', text.n))
        *kind = six ? NR_KIND_CIDR6 : NR_KIND_CIDR4;
    else
        *kind = six ? NR_KIND_IPV6 : NR_KIND_IPV4;
    return nr_canon_plain(*kind, text, buf, key);
}

/* Kind and key of line L; false: it is not plain. */
static bool
read_line(struct nr_feed_lines *p, struct nr_bytes l, bool list,
    enum nr_kind *kind, uint8_t *buf, struct nr_bytes *key)
{
    const uint8_t *tab = memchr(l.p, '\t', l.n);
    const struct column *column;
    struct nr_bytes value;

    if (!tab)
        return list && nr_canon_plain_guess(l, kind, buf, key);
    /* not "//domain", a comment, whatever a type's name may hold */
    column = nr_is_alpha(l.p[0])
        ? column_of(p, nr_bytes_sub(l, 0, (size_t)(tab - l.p)))
        : NULL;
    value = nr_bytes_sub(l, (size_t)(tab - l.p) + 1, l.n);
    tab = value.n ? memchr(value.p, '\t', value.n) : NULL;
    if (tab)
        value.n = (size_t)(tab - value.p);
    if (!column || value.n == 0)
        return false;
    *kind = column->kind;
    if (column->sort == SORT_KIND)
        return nr_canon_plain(*kind, value, buf, key);
    return column->sort == SORT_GUESS
        ? nr_canon_plain_guess(value, kind, buf, key)
        : address(value, kind, buf, key);
}

/* The next line of the text, without its line feed. False: there is none. */
static bool
cut_line(struct nr_feed_lines *p, struct nr_feed_line *l)
{
    const uint8_t *from = p->in.p + p->at, *end;
    size_t n = p->in.n - p->at;

    if (n == 0)
        return false;
    end = memchr(from, '\n', n);
    l->at = p->at;
    p->at += end ? (size_t)(end - from) + 1 : n;
    l->text = (struct nr_bytes){ from, end ? (size_t)(end - from) : n };
    return true;
}

static void
read_job(struct nr_feed_lines *p, struct job *j)
{
    struct nr_warn_hit hit;

    for (j->n = 0; j->n < JOB_LINES && cut_line(p, &j->v[j->n]); j->n++) {
        struct nr_feed_line *l = &j->v[j->n];
        struct nr_bytes text = l->text;

        if (text.n > 0 && text.p[text.n - 1] == '\r')
            text.n--;
        l->plain = text.n > 0 &&
            read_line(p, text, p->list, &l->kind, j->octets[j->n], &l->key) &&
            !nr_warn_check(p->warn, l->kind, l->key, &hit);
    }
}

static void *
read_ahead(void *arg)
{
    struct nr_feed_lines *p = arg;
    bool more = true;

    for (size_t k = 0; more; k ^= 1) {
        (void)pthread_mutex_lock(&p->lock);
        while (p->full[k] && !p->stop)
            (void)pthread_cond_wait(&p->changed, &p->lock);
        more = !p->stop;
        (void)pthread_mutex_unlock(&p->lock);
        if (!more)
            break;
        read_job(p, &p->jobs[k]);
        more = p->jobs[k].n > 0; /* an empty one is the last */
        (void)pthread_mutex_lock(&p->lock);
        p->full[k] = true;
        (void)pthread_cond_signal(&p->changed);
        (void)pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

/* A job is done with (if there was one); the next one. */
static void
next_job(struct nr_feed_lines *p)
{
    size_t k = p->has_job ? p->job ^ 1 : 0;

    if (p->beside) {
        (void)pthread_mutex_lock(&p->lock);
        if (p->has_job) {
            p->full[p->job] = false;
            (void)pthread_cond_signal(&p->changed);
        }
        while (!p->full[k])
            (void)pthread_cond_wait(&p->changed, &p->lock);
        (void)pthread_mutex_unlock(&p->lock);
    } else {
        read_job(p, &p->jobs[k]);
    }
    p->job = k;
    p->has_job = true;
    p->next = 0;
}

const struct nr_feed_line *
nr_feed_lines_next(struct nr_feed_lines *p)
{
    struct job *j = &p->jobs[p->job];

    if (!p->has_job || (j->n > 0 && p->next == j->n))
        next_job(p);
    j = &p->jobs[p->job];
    return p->next < j->n ? &j->v[p->next++] : NULL;
}

struct nr_feed_lines *
nr_feed_lines_create(struct nr_feed *f, struct nr_bytes in, bool list)
{
    struct nr_feed_lines *p = malloc(sizeof(*p)); /* large, little is used */

    if (!p)
        return NULL;
    memset(p, 0, offsetof(struct nr_feed_lines, jobs));
    p->f = f;
    p->in = in;
    p->list = list;
    p->warn = f->conf.warn;
    if (in.n < BESIDE_MIN)
        return p;
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        return NULL;
    }
    if (pthread_cond_init(&p->changed, NULL) != 0) {
        (void)pthread_mutex_destroy(&p->lock);
        free(p);
        return NULL;
    }
    p->has_lock = true;
    /* Where no thread is to be had, who asks reads. */
    p->beside = nr_thread_start(&p->thread, read_ahead, p);
    return p;
}

void
nr_feed_lines_destroy(struct nr_feed_lines *p)
{
    if (!p)
        return;
    if (p->beside) {
        (void)pthread_mutex_lock(&p->lock);
        p->stop = true;
        (void)pthread_cond_signal(&p->changed);
        (void)pthread_mutex_unlock(&p->lock);
        (void)pthread_join(p->thread, NULL);
    }
    if (p->has_lock) {
        (void)pthread_cond_destroy(&p->changed);
        (void)pthread_mutex_destroy(&p->lock);
    }
    free(p);
}

/* What is said of all values under REFERENCE. */
static enum nr_err
say(struct nr_feed_lines *p, struct nr_str reference, struct nr_diag *d)
{
    struct nr_indicator i = nr_indicator_of(NR_KIND_DOMAIN,
        (struct nr_bytes){ 0 });
    enum nr_err err;

    i.said.source = p->f->source;
    i.said.reference = reference;
    err = nr_watchlist_about(p->f->builder, &i, &p->about, d);
    p->has_about = err == NR_OK;
    p->reference = reference;
    return err;
}

enum nr_err
nr_feed_lines_take(struct nr_feed_lines *p, const struct nr_feed_line *l,
    struct nr_str reference, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (!p->has_about || p->reference.p != reference.p ||
        p->reference.n != reference.n)
        err = say(p, reference, d);
    if (err)
        return err;
    p->f->stats.values++;
    p->f->stats.taken++;
    return nr_watchlist_add_key(p->f->builder, l->kind, l->key, p->about, d);
}

enum nr_err
nr_feed_lines_reserve(struct nr_feed *f, struct nr_bytes in, struct nr_diag *d)
{
    struct nr_bytes head = nr_bytes_sub(in, 0, nr_min(in.n, SAMPLE));
    size_t lines = nr_count_lines(head, 0);

    if (head.n < in.n)
        lines = in.n / (head.n / (lines + 1));
    /* A file of empty lines is no reason to ask for much. */
    lines = nr_min(lines, in.n / LINE_MIN);
    return lines < LINES_MIN ? NR_OK
                             : nr_watchlist_reserve(f->builder, lines, d);
}
