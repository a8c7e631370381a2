#include "alert/alert.h"

#include "alert/roll.h"
#include "alert/sink.h"
#include "base/cur.h"

#include <stdlib.h>

#define MAGIC UINT64_C(0x54524c414f52524e) /* of a state */

struct nr_alert {
    struct nr_alert_conf conf;
    struct alert_sink sinks[NR_ALERT_OUTPUTS_MAX];
    size_t n_sinks;
    struct alert_roll roll;
    struct nr_alert_counts counts;
};

/* --- rows as text --- */

struct text_sink {
    enum nr_alert_form form;
    bool iso, counted;
    struct alert_out *out;
    struct nr_buf row;
};

static enum nr_err
text_row(void *self, const struct alert_row *r, struct nr_diag *d)
{
    struct text_sink *t = self;

    nr_buf_reset(&t->row);
    if (t->form == NR_ALERT_JSON)
        alert_put_json(r, t->iso, &t->row);
    else
        alert_put_tsv(r, t->iso, t->counted || r->rollup, &t->row);
    if (t->row.err != NR_OK)
        return nr_fail(d, t->row.err, 0, "alert: a row of output");
    return alert_out_put(t->out, nr_buf_bytes(&t->row), d);
}

static enum nr_err
text_flush(void *self, struct nr_diag *d)
{
    struct text_sink *t = self;

    return alert_out_flush(t->out, d);
}

static enum nr_err
text_save(void *self, struct nr_buf *state, struct nr_diag *d)
{
    struct text_sink *t = self;

    return alert_out_save(t->out, state, d);
}

static enum nr_err
text_load(void *self, struct nr_bytes state, struct nr_diag *d)
{
    struct text_sink *t = self;

    return alert_out_load(t->out, state, d);
}

static bool
text_is_gone(const void *self)
{
    const struct text_sink *t = self;

    return alert_out_is_gone(t->out);
}

static void
text_destroy(void *self)
{
    struct text_sink *t = self;

    alert_out_close(t->out);
    nr_buf_fini(&t->row);
    free(t);
}

static const struct alert_sink_ops text_ops = {
    .row = text_row,
    .tick = text_flush,
    .finish = text_flush,
    .save = text_save,
    .load = text_load,
    .is_gone = text_is_gone,
    .destroy = text_destroy,
};

/* Takes OUT over. */
static enum nr_err
text_create(const struct nr_alert_conf *conf, enum nr_alert_form form,
    struct alert_out *out, struct alert_sink *sink, struct nr_diag *d)
{
    struct text_sink *t = calloc(1, sizeof(*t));

    if (!t) {
        alert_out_close(out);
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    }
    *t = (struct text_sink){ .form = form,
        .iso = conf->iso,
        .counted = conf->rate > 0,
        .out = out };
    nr_buf_init(&t->row, NR_ALERT_ROW_MAX);
    *sink = (struct alert_sink){ &text_ops, t };
    return NR_OK;
}

/* --- all outputs --- */

/* To those that take every hit, or to the others. */
static enum nr_err
to_sinks(struct nr_alert *a, bool all, const struct alert_row *r,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; i < a->n_sinks && err == NR_OK; i++)
        if (a->sinks[i].ops->all == all)
            err = a->sinks[i].ops->row(a->sinks[i].self, r, d);
    return err;
}

static enum nr_err
on_row(void *ctx, const struct alert_row *r, struct nr_diag *d)
{
    struct nr_alert *a = ctx;

    if (r->rollup) {
        a->counts.rollups++;
        a->counts.held += r->count;
    } else {
        a->counts.rows++;
    }
    return to_sinks(a, false, r, d);
}

enum nr_err
nr_alert_create(const struct nr_alert_conf *conf, struct nr_alert **out,
    struct nr_diag *d)
{
    struct nr_alert *a = calloc(1, sizeof(*a));
    enum nr_err err;

    if (!a)
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    a->conf = *conf;
    err = alert_roll_init(&a->roll, conf, d);
    a->roll.row = on_row;
    a->roll.ctx = a;
    if (err == NR_OK)
        *out = a;
    else
        nr_alert_destroy(a);
    return err;
}

void
nr_alert_destroy(struct nr_alert *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n_sinks; i++)
        a->sinks[i].ops->destroy(a->sinks[i].self);
    alert_roll_fini(&a->roll);
    free(a);
}

static enum nr_err
room_for_one(const struct nr_alert *a, struct nr_diag *d)
{
    return a->n_sinks < NR_ALERT_OUTPUTS_MAX
        ? NR_OK
        : nr_fail(d, NR_ELIMIT, 0, "alert: more than 8 outputs");
}

static enum nr_err
add_out(struct nr_alert *a, enum nr_alert_form form, struct alert_out *out,
    struct nr_diag *d)
{
    struct alert_sink *s = &a->sinks[a->n_sinks];
    enum nr_err err = form == NR_ALERT_STIX
        ? alert_sightings_create(&a->conf, out, s, d)
        : text_create(&a->conf, form, out, s, d);

    a->n_sinks += err == NR_OK;
    return err;
}

enum nr_err
nr_alert_add_fd(struct nr_alert *a, enum nr_alert_form form, int fd,
    const char *name, struct nr_diag *d)
{
    struct alert_out *out = NULL;
    enum nr_err err = room_for_one(a, d);

    if (err == NR_OK)
        err = alert_out_of_fd(fd, name, &out, d);
    return err == NR_OK ? add_out(a, form, out, d) : err;
}

enum nr_err
nr_alert_add_file(struct nr_alert *a, enum nr_alert_form form, const char *path,
    struct nr_diag *d)
{
    struct alert_out *out = NULL;
    enum nr_err err = room_for_one(a, d);

    if (err == NR_OK)
        err = alert_out_open(path, &out, d);
    return err == NR_OK ? add_out(a, form, out, d) : err;
}

enum nr_err
nr_alert_add_syslog(struct nr_alert *a, const char *address, struct nr_diag *d)
{
    enum nr_err err = room_for_one(a, d);

    if (err == NR_OK)
        err = alert_syslog_create(&a->conf, address, &a->sinks[a->n_sinks], d);
    a->n_sinks += err == NR_OK;
    return err;
}

enum nr_err
nr_alert_add_command(struct nr_alert *a, const char *command, struct nr_diag *d)
{
    enum nr_err err = room_for_one(a, d);

    if (err == NR_OK)
        err = alert_command_create(&a->conf, command, &a->sinks[a->n_sinks], d);
    a->n_sinks += err == NR_OK;
    return err;
}

/* --- work --- */

enum nr_validity
nr_indicator_valid_at(const struct nr_indicator *i, int64_t time_us)
{
    if (i->valid_from_s == NR_TIME_NONE && i->valid_until_s == NR_TIME_NONE)
        return NR_VALID_YES;
    if (time_us == NR_TIME_NONE)
        return NR_VALID_UNKNOWN;
    if ((i->valid_from_s != NR_TIME_NONE &&
            time_us < i->valid_from_s * NR_US_PER_S) ||
        (i->valid_until_s != NR_TIME_NONE &&
            time_us >= i->valid_until_s * NR_US_PER_S))
        return NR_VALID_NO;
    return NR_VALID_YES;
}

static int64_t
now_us(const struct nr_alert *a)
{
    return a->conf.env.now_us(a->conf.env.ctx);
}

enum nr_err
nr_alert_hit(struct nr_alert *a, const struct nr_hit *h, struct nr_diag *d)
{
    struct alert_row r = alert_row_of(h);
    enum nr_err err;

    a->counts.hits++;
    if (!(a->conf.actions & NR_ALERT_ACTION(r.action)) ||
        (a->conf.valid_only &&
            nr_indicator_valid_at(&r.indicator, r.time_us) == NR_VALID_NO))
        return NR_OK;
    a->counts.passed++;
    a->counts.denied += r.action == NR_ACTION_DENIED;
    err = to_sinks(a, true, &r, d);
    return err == NR_OK ? alert_roll_hit(&a->roll, &r, now_us(a), d) : err;
}

enum nr_err
nr_alert_tick(struct nr_alert *a, struct nr_diag *d)
{
    enum nr_err err = alert_roll_tick(&a->roll, now_us(a), false, d);

    for (size_t i = 0; i < a->n_sinks && err == NR_OK; i++)
        err = a->sinks[i].ops->tick(a->sinks[i].self, d);
    return err;
}

enum nr_err
nr_alert_finish(struct nr_alert *a, struct nr_diag *d)
{
    enum nr_err err = alert_roll_tick(&a->roll, now_us(a), true, d);

    for (size_t i = 0; i < a->n_sinks && err == NR_OK; i++)
        err = a->sinks[i].ops->finish(a->sinks[i].self, d);
    return err;
}

bool
nr_alert_is_gone(const struct nr_alert *a)
{
    for (size_t i = 0; i < a->n_sinks; i++)
        if (a->sinks[i].ops->is_gone &&
            a->sinks[i].ops->is_gone(a->sinks[i].self))
            return true;
    return false;
}

void
nr_alert_count(const struct nr_alert *a, struct nr_alert_counts *out)
{
    *out = a->counts;
    out->held += a->roll.held;
    for (size_t i = 0; i < a->n_sinks; i++)
        if (a->sinks[i].ops->count)
            a->sinks[i].ops->count(a->sinks[i].self, out);
}

/* --- state: a part of each output, then the limit's, each with its length --- */

static void
put_part(struct nr_buf *state, const struct nr_buf *part)
{
    nr_buf_put_le(state, part->n, 4);
    nr_buf_put(state, nr_buf_bytes(part));
    if (part->err != NR_OK && state->err == NR_OK)
        state->err = part->err;
}

enum nr_err
nr_alert_save(struct nr_alert *a, struct nr_buf *state, struct nr_diag *d)
{
    enum nr_err err = alert_roll_tick(&a->roll, now_us(a), false, d);
    size_t start = state->n;
    struct nr_buf part;

    nr_buf_init(&part, UINT32_MAX);
    nr_buf_put_le(state, MAGIC, 8);
    nr_buf_put_le(state, a->n_sinks, 4);
    for (size_t i = 0; i < a->n_sinks && err == NR_OK; i++) {
        nr_buf_reset(&part);
        if (a->sinks[i].ops->save)
            err = a->sinks[i].ops->save(a->sinks[i].self, &part, d);
        put_part(state, &part);
    }
    nr_buf_reset(&part);
    alert_roll_save(&a->roll, &part);
    put_part(state, &part);
    nr_buf_fini(&part);
    if (err == NR_OK && state->err != NR_OK)
        err = nr_fail(d, state->err, 0, "alert: out of memory");
    if (err != NR_OK && state->err == NR_OK)
        state->n = start;
    return err;
}

static struct nr_bytes
take_part(struct nr_cur *c)
{
    return nr_cur_take(c, nr_cur_le32(c));
}

/* An output knows its own part, whatever others were added meanwhile. */
static enum nr_err
load_sinks(struct nr_alert *a, struct nr_bytes part, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; i < a->n_sinks && err == NR_OK; i++)
        if (part.n > 0 && a->sinks[i].ops->load)
            err = a->sinks[i].ops->load(a->sinks[i].self, part, d);
    return err;
}

enum nr_err
nr_alert_load(struct nr_alert *a, struct nr_bytes state, struct nr_diag *d)
{
    struct nr_cur c = nr_cur(state);
    enum nr_err err = NR_OK;
    struct nr_bytes part;
    uint32_t n;

    if (state.n == 0)
        return NR_OK; /* saved by a run without outputs to save */
    if (nr_cur_le64(&c) != MAGIC)
        return nr_fail(d, NR_EFORMAT, 0, "alert: no state of outputs");
    n = nr_cur_le32(&c);
    for (uint32_t i = 0; i < n && c.err == NR_OK && err == NR_OK; i++)
        err = load_sinks(a, take_part(&c), d);
    part = take_part(&c);
    if (err == NR_OK && (c.err != NR_OK || nr_cur_left(&c) > 0))
        err = nr_fail(d, NR_EFORMAT, 0, "alert: no state of outputs");
    return err == NR_OK ? alert_roll_load(&a->roll, part, d) : err;
}
