/* Delivering: hits in the order of the input, with what their lines say. */
#include "watch/engine.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

static enum nr_err
nomem(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
}

static uint8_t *
put_le(uint8_t *p, uint64_t v)
{
    for (size_t i = 0; i < sizeof(v); i++, v >>= 8)
        *p++ = (uint8_t)v;
    return p;
}

/* A hash of hashes, so that nothing need be copied together. */
void
nr_hit_id(const struct nr_hit *h, const uint8_t first[ID_N],
    uint8_t out[NR_HIT_ID])
{
    uint8_t all[3 * ID_N + 2 * sizeof(uint64_t)], *p = all;

    nr_xxh128(h->text, 0, p);
    p = put_le(p + ID_N, h->at);
    memcpy(p, first, ID_N);
    p = put_le(p + ID_N, h->indicator.kind);
    nr_xxh128(h->indicator.key, 0, p);
    nr_xxh128((struct nr_bytes){ all, sizeof(all) }, 0, out);
}

/* --- what the lines of a file mean --- */

/* Years of a file whose lines have none and whose name does not help: count
 * the new years in it beforehand. Only for what can be read twice. */
static void
prescan(const struct nr_watch *w, struct file *f)
{
    struct nr_input *again = NULL;
    struct nr_block b = { 0 };

    if (!f->regular || w->conf.follow || f->at > 0 ||
        nr_input_open(f->path, NULL, &again, NULL) != NR_OK)
        return;
    while (nr_input_next(again, &b, NULL) == NR_OK && b.text.n > 0)
        nr_logfile_prescan(f->log, b.text);
    nr_input_free(again);
}

static enum nr_err
learn(struct nr_watch *w, struct file *f, struct nr_bytes text,
    struct nr_diag *d)
{
    struct nr_logfile_options o = {
        .name = f->regular ? f->name : NULL,
        .zone_east_s = w->conf.zone_east_s,
        .last_s = f->mtime_s == NR_TIME_NONE ? nr_env_now_s(w->conf.env)
                                             : f->mtime_s,
    };
    enum nr_err err = nr_logfile_new(&o, &f->log, d);

    if (err)
        return err;
    if (f->intro)
        text = (struct nr_bytes){ f->intro, f->intro_n };
    nr_logfile_learn(f->log, text);
    free(f->intro);
    f->intro = NULL;
    if (f->has_state && nr_logfile_restore(f->log, f->log_state))
        return NR_OK;
    if (nr_logfile_wants_prescan(f->log))
        prescan(w, f);
    return NR_OK;
}

/* --- long lines: each indicator of one is told once --- */

static bool
was_told(const struct file *f, uint64_t what)
{
    for (size_t i = 0; i < f->n_told; i++)
        if (f->told[i] == what)
            return true;
    return false;
}

static enum nr_err
tell_once(struct file *f, const struct nr_block *b,
    const struct nr_indicator *i, bool first_line, bool *again,
    struct nr_diag *d)
{
    uint64_t what = nr_xxh64(i->key, i->kind);

    *again = b->continues && first_line && was_told(f, what);
    if (*again || !b->goes_on)
        return NR_OK;
    if (!nr_watch_room(&f->told, &f->cap_told, f->n_told, sizeof(*f->told)))
        return nomem(d);
    f->told[f->n_told++] = what;
    return NR_OK;
}

/* --- blocks --- */

/* Numbers of a block's first line. */
struct numbers {
    uint64_t line, file_line;
};

static enum nr_err
give(struct nr_watch *w, struct slot *s, const struct spot_hit *k,
    const struct nr_record *record, struct numbers no, struct nr_diag *d)
{
    struct file *f = s->file;
    const struct nr_block *b = &s->block;
    bool piece = b->continues && k->line == 0, again;
    struct nr_hit h = {
        .line = piece ? f->line_no : no.line + k->line,
        .file_line = no.file_line + k->line,
        .at = piece ? f->line_at : b->at + k->line_at,
        .file = f->name,
        .text = nr_bytes_sub(b->text, k->line_at, k->line_at + k->line_n),
        .indicator = nr_watchlist_get(s->list->w, k->indicator),
        .observed = nr_bytes_sub(b->text, k->at, k->at + k->n),
        .record = record,
        .list_version = nr_watchlist_version(s->list->w),
    };
    enum nr_err err = tell_once(f, b, &h.indicator, k->line == 0, &again, d);

    if (err || again)
        return err;
    nr_hit_id(&h, f->first, h.id);
    w->hits++;
    w->denied += record->action == NR_ACTION_DENIED;
    return w->conf.hit(w->conf.ctx, &h, d);
}

/* A record whose line is not there any more. */
static struct nr_record
without_views(const struct nr_record *r)
{
    struct nr_record out = *r;

    out.src = out.dst = out.host = out.user = (struct nr_bytes){ 0 };
    out.query = out.url = (struct nr_bytes){ 0 };
    return out;
}

/* Only lines with hits are parsed; those between count for the dates. */
static enum nr_err
give_all(struct nr_watch *w, struct slot *s, struct numbers no,
    struct nr_diag *d)
{
    struct file *f = s->file;
    const struct nr_block *b = &s->block;
    enum nr_err err = NR_OK;
    const struct nr_logtext *t = &s->lines;
    size_t next = 0;

    for (size_t i = 0; i < s->n_hits && !err;) {
        const struct spot_hit *k = &s->hits[i];
        struct nr_record r;

        nr_logfile_skip(f->log, t, b->text, next, k->line);
        nr_logline_parse(f->log, nr_logtext_line(t, b->text, k->line), &r);
        next = (size_t)k->line + 1;
        if (k->line == 0 && b->continues)
            r = f->record;
        else if (b->goes_on)
            f->record = without_views(&r);
        for (; i < s->n_hits && s->hits[i].line_at == k->line_at && !err; i++)
            err = give(w, s, &s->hits[i], &r, no, d);
    }
    if (!err && b->goes_on && !b->continues && s->n_hits == 0) {
        struct nr_record r;

        nr_logline_parse(f->log, b->text, &r);
        f->record = without_views(&r);
        next = t->n;
    }
    if (!err)
        nr_logfile_skip(f->log, t, b->text, next, t->n);
    return err;
}

static enum nr_err
keep_cursor(struct file *f, const char *cursor, struct nr_diag *d)
{
    char *copy = strdup(cursor);

    if (!copy)
        return nomem(d);
    free(f->cursor);
    f->cursor = copy;
    return NR_OK;
}

static enum nr_err
deliver_block(struct nr_watch *w, struct slot *s, struct nr_diag *d)
{
    struct file *f = s->file;
    const struct nr_block *b = &s->block;
    struct numbers no = { w->lines + 1, f->lines + 1 };
    enum nr_err err = f->log ? NR_OK : learn(w, f, b->text, d);

    if (err)
        return err;
    if (!b->continues) {
        f->n_told = 0;
        f->line_at = b->at;
        f->line_no = no.line;
    }
    err = give_all(w, s, no, d);
    if (err)
        return err;
    w->octets += b->text.n;
    w->spots += s->spots;
    w->false_spots += s->false_spots;
    /* a long line is counted with its first piece, and done with its last */
    w->lines += s->lines.n - (b->continues ? 1 : 0);
    w->lines_out = w->lines;
    f->mid_line = b->goes_on;
    if (!b->goes_on) {
        f->lines += s->lines.n;
        f->at = b->at + b->text.n;
    }
    w->unsaved = true;
    return s->cursor[0] ? keep_cursor(f, s->cursor, d) : NR_OK;
}

enum nr_err
nr_deliver(struct nr_watch *w, struct slot *s, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    switch (s->kind) {
    case SLOT_BLOCK:
        err = deliver_block(w, s, d);
        break;
    case SLOT_TROUBLE:
        w->failed++;
        err = w->conf.trouble(w->conf.ctx, &s->why, d);
        break;
    case SLOT_CLOSE:
        if (s->file->log) {
            nr_logfile_save(s->file->log, s->file->log_state);
            s->file->has_state = true;
            nr_logfile_free(s->file->log);
            s->file->log = NULL;
        }
        w->unsaved = true;
        break;
    case SLOT_FATAL:
        if (d && d->err == NR_OK)
            *d = s->why;
        err = s->why.err;
        break;
    }
    if (s->file)
        s->file->inflight--;
    return err;
}
