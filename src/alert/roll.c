/*
 * An interval begins with an indicator's first hit in it and ends by the
 * clock of arrival. All intervals are equally long, so the order in which they
 * began is the order in which they end: looking for ended ones costs nothing.
 * Of what is held back only the number, the beginning and the last hit stay.
 */
#include "alert/roll.h"

#include "base/cur.h"

#include <stdlib.h>

#define BUCKETS (NR_ALERT_TRACKED_MAX)
#define MAGIC   UINT64_C(0x314c4c4f52524c41)

struct entry {
    int64_t start_us;
    uint64_t told, held;
    uint64_t first_line; /* of what is held */
    int64_t first_time_us;
    struct nr_buf last; /* encoded row */
};

enum nr_err
alert_roll_init(struct alert_roll *l, const struct nr_alert_conf *conf,
    struct nr_diag *d)
{
    uint64_t seed;

    *l = (struct alert_roll){ .rate = conf->rate,
        .interval_us = conf->interval_us };
    nr_buf_init(&l->key, NR_KEY_MAX + 2);
    if (l->rate == 0)
        return NR_OK;
    if (conf->env.random(conf->env.ctx, &seed, sizeof(seed)) != NR_OK)
        return nr_fail(d, NR_ESYS, 0, "alert: no random octets");
    return alert_map_init(&l->map, BUCKETS, seed, d);
}

static void
forget(struct alert_roll *l, struct alert_node *n)
{
    struct entry *e = n->value;

    l->held_octets -= e->last.cap;
    nr_buf_fini(&e->last);
    free(e);
    alert_map_remove(&l->map, n);
}

void
alert_roll_fini(struct alert_roll *l)
{
    while (l->map.oldest)
        forget(l, l->map.oldest);
    alert_map_fini(&l->map);
    nr_buf_fini(&l->key);
}

/* The interval of N is over: tell what was held, and forget it. One hit that
 * was held is told as itself: that is no longer than its roll-up. */
static enum nr_err
end(struct alert_roll *l, struct alert_node *n, struct nr_diag *d)
{
    struct entry *e = n->value;
    struct alert_row r;
    enum nr_err err = NR_OK;

    if (e->held > 0) {
        err = alert_row_decode(nr_buf_bytes(&e->last), &r);
        if (err != NR_OK)
            return nr_fail(d, err, 0, "alert: a row held back is damaged");
        r.count = e->held;
        r.rollup = e->held > 1;
        r.first_line = e->first_line;
        r.first_time_us = e->first_time_us;
        l->held -= e->held;
        err = l->row(l->ctx, &r, d);
    }
    forget(l, n);
    return err;
}

/* A clock that was set back ends an interval, too. */
static bool
is_over(const struct alert_roll *l, const struct alert_node *n, int64_t now_us)
{
    const struct entry *e = n->value;

    return now_us < e->start_us || now_us - e->start_us >= l->interval_us;
}

enum nr_err
alert_roll_tick(struct alert_roll *l, int64_t now_us, bool all,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    while (err == NR_OK && l->map.oldest &&
        (all || is_over(l, l->map.oldest, now_us)))
        err = end(l, l->map.oldest, d);
    return err;
}

static struct nr_bytes
key_of(struct alert_roll *l, const struct alert_row *r)
{
    nr_buf_reset(&l->key);
    nr_buf_put_c(&l->key, (char)r->indicator.kind);
    nr_buf_put_c(&l->key, (char)r->action);
    nr_buf_put(&l->key, r->indicator.key);
    return nr_buf_bytes(&l->key);
}

static enum nr_err
entry_of(struct alert_roll *l, const struct alert_row *r, int64_t now_us,
    struct entry **out, struct nr_diag *d)
{
    struct nr_bytes key = key_of(l, r);
    struct alert_node *n = alert_map_find(&l->map, key);
    enum nr_err err = NR_OK;
    struct entry *e;

    if (n) {
        *out = n->value;
        return NR_OK;
    }
    if (l->map.n >= NR_ALERT_TRACKED_MAX)
        err = end(l, l->map.oldest, d);
    if (err != NR_OK)
        return err;
    e = calloc(1, sizeof(*e));
    if (!e || !alert_map_add(&l->map, key, e)) {
        free(e);
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    }
    e->start_us = now_us;
    nr_buf_init(&e->last, NR_ALERT_ROW_MAX);
    *out = e;
    return NR_OK;
}

static enum nr_err
hold(struct alert_roll *l, struct entry *e, const struct alert_row *r,
    struct nr_diag *d)
{
    enum nr_err err;

    if (e->held == 0) {
        e->first_line = r->first_line;
        e->first_time_us = r->first_time_us;
    }
    e->held += r->count;
    l->held += r->count;
    l->held_octets -= e->last.cap;
    nr_buf_reset(&e->last);
    alert_row_encode(r, &e->last);
    err = e->last.err;
    l->held_octets += e->last.cap;
    if (err != NR_OK)
        return nr_fail(d, err, 0, "alert: out of memory");
    while (err == NR_OK && l->held_octets > NR_ALERT_HELD_MAX)
        err = end(l, l->map.oldest, d);
    return err;
}

enum nr_err
alert_roll_hit(struct alert_roll *l, const struct alert_row *r, int64_t now_us,
    struct nr_diag *d)
{
    struct entry *e = NULL;
    enum nr_err err;

    if (l->rate == 0)
        return l->row(l->ctx, r, d);
    err = alert_roll_tick(l, now_us, false, d);
    if (err == NR_OK)
        err = entry_of(l, r, now_us, &e, d);
    if (err != NR_OK)
        return err;
    if (e->told >= l->rate)
        return hold(l, e, r, d);
    e->told++;
    return l->row(l->ctx, r, d);
}

/* --- over a restart --- */

void
alert_roll_save(const struct alert_roll *l, struct nr_buf *state)
{
    nr_buf_put_le(state, MAGIC, 8);
    for (const struct alert_node *n = l->map.oldest; n; n = n->newer) {
        const struct entry *e = n->value;

        if (e->held == 0)
            continue;
        nr_buf_put_le(state, (uint64_t)e->start_us, 8);
        nr_buf_put_le(state, e->held, 8);
        nr_buf_put_le(state, e->first_line, 8);
        nr_buf_put_le(state, (uint64_t)e->first_time_us, 8);
        nr_buf_put_le(state, e->last.n, 4);
        nr_buf_put(state, nr_buf_bytes(&e->last));
    }
}

static enum nr_err
load_one(struct alert_roll *l, struct nr_cur *c, struct nr_diag *d)
{
    int64_t start_us = (int64_t)nr_cur_le64(c), first_time_us;
    uint64_t held = nr_cur_le64(c), first_line = nr_cur_le64(c);
    struct nr_bytes last;
    struct alert_row r;
    struct entry *e = NULL;
    enum nr_err err;

    first_time_us = (int64_t)nr_cur_le64(c);
    last = nr_cur_take(c, nr_cur_le32(c));
    if (c->err == NR_OK)
        c->err = alert_row_decode(last, &r);
    if (c->err != NR_OK)
        return nr_fail(d, NR_EFORMAT, 0,
            "alert: what was held back is damaged");
    r.count = held;
    r.first_line = first_line;
    r.first_time_us = first_time_us;
    if (l->rate == 0) { /* the limit was taken away: tell it now */
        r.rollup = held > 1;
        return l->row(l->ctx, &r, d);
    }
    err = entry_of(l, &r, start_us, &e, d);
    if (err != NR_OK)
        return err;
    e->told = l->rate;
    return hold(l, e, &r, d);
}

enum nr_err
alert_roll_load(struct alert_roll *l, struct nr_bytes state, struct nr_diag *d)
{
    struct nr_cur c = nr_cur(state);
    enum nr_err err = NR_OK;

    if (nr_cur_left(&c) < 8 || nr_cur_le64(&c) != MAGIC)
        return nr_fail(d, NR_EFORMAT, 0, "alert: no state of outputs");
    while (err == NR_OK && nr_cur_left(&c) > 0)
        err = load_one(l, &c, d);
    return err;
}
