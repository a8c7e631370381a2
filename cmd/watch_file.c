#include "watch_file.h"

#include "base/table.h"
#include "block.h"
#include "input/input.h"

#include <stdlib.h>
#include <string.h>

struct watch_file {
    struct watch_conf *conf;
    const char *path;
    struct nr_input *in;    /* NULL: gone for now (follow) */
    struct nr_logfile *log; /* made with the first block */
    struct nr_tokens tokens;
    struct nr_matches matches;
    struct nr_record record; /* of the line that a long one began with */
    /* Indicators already told of the long line that goes on. */
    uint32_t *told;
    size_t n_told, cap_told;
};

static enum nr_err
open_input(struct watch_file *f, struct nr_diag *d)
{
    struct nr_input_options o = { .follow = f->conf->follow };

    return nr_input_open(f->path, &o, &f->in, d);
}

enum nr_err
watch_file_open(struct watch_conf *conf, const char *path,
    struct watch_file **out, struct nr_diag *d)
{
    struct watch_file *f = calloc(1, sizeof(*f));
    enum nr_err err;

    if (!f)
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    f->conf = conf;
    f->path = path;
    nr_tokens_init(&f->tokens, f->conf->scan);
    nr_matches_init(&f->matches);
    err = open_input(f, d);
    if (err == NR_OK)
        *out = f;
    else
        watch_file_close(f);
    return err;
}

void
watch_file_close(struct watch_file *f)
{
    if (!f)
        return;
    nr_input_free(f->in);
    nr_logfile_free(f->log);
    nr_tokens_fini(&f->tokens);
    nr_matches_fini(&f->matches);
    free(f->told);
    free(f);
}

/* Years of a file whose lines have none and whose name does not help: count
 * the new years in it beforehand. Only for what can be read twice. */
static void
prescan(struct watch_file *f)
{
    struct nr_input *again = NULL;
    struct nr_block b = { 0 };

    if (strcmp(f->path, "-") == 0 || f->conf->follow ||
        nr_input_mtime(f->in) == NR_TIME_NONE ||
        nr_input_open(f->path, NULL, &again, NULL) != NR_OK)
        return;
    while (nr_input_next(again, &b, NULL) == NR_OK && b.text.n > 0)
        nr_logfile_prescan(f->log, b.text);
    nr_input_free(again);
}

static enum nr_err
learn(struct watch_file *f, const struct nr_block *b, struct nr_diag *d)
{
    int64_t mtime = nr_input_mtime(f->in);
    struct nr_logfile_options o = {
        .name = strcmp(f->path, "-") == 0 ? NULL : f->path,
        .zone_east_s = f->conf->zone_east_s,
        .last_s = mtime == NR_TIME_NONE ? f->conf->now_s : mtime,
    };
    enum nr_err err = nr_logfile_new(&o, &f->log, d);

    if (err != NR_OK)
        return err;
    nr_logfile_learn(f->log, b->text);
    if (nr_logfile_wants_prescan(f->log))
        prescan(f);
    return NR_OK;
}

static bool
was_told(const struct watch_file *f, uint32_t indicator)
{
    for (size_t i = 0; i < f->n_told; i++)
        if (f->told[i] == indicator)
            return true;
    return false;
}

static enum nr_err
tell_once(struct watch_file *f, uint32_t indicator, struct nr_diag *d)
{
    if (f->n_told == f->cap_told) {
        size_t cap = f->cap_told ? f->cap_told * 2 : 64;
        uint32_t *v = reallocarray(f->told, cap, sizeof(*v));

        if (!v)
            return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
        f->told = v;
        f->cap_told = cap;
    }
    f->told[f->n_told++] = indicator;
    return NR_OK;
}

static enum nr_err
hit(struct watch_file *f, const struct nr_block *b, const struct nr_match *m,
    const struct nr_record *record, struct nr_diag *d)
{
    const struct nr_token *k = &f->tokens.v[m->token];
    struct watch_hit h = {
        .line = f->conf->lines + m->line + 1,
        .file_line = b->first_line + m->line,
        .file = f->path,
        .indicator = nr_watchlist_get(f->conf->list, m->indicator),
        .observed = nr_bytes_sub(b->text, k->at, k->at + k->len),
        .record = record,
    };
    enum nr_err err = NR_OK;

    if (b->continues && m->line == 0) {
        if (was_told(f, m->indicator))
            return NR_OK;
        h.line--; /* the line was counted with its first piece */
    }
    if (b->goes_on)
        err = tell_once(f, m->indicator, d);
    return err == NR_OK ? f->conf->hit(f->conf->ctx, &h, d) : err;
}

/* Every line is parsed, matched or not: times without a year or a date need
 * the lines before them. */
static enum nr_err
lines(struct watch_file *f, const struct nr_block *b, struct nr_diag *d)
{
    struct nr_bytes rest = b->text, line;
    enum nr_err err = NR_OK;
    size_t i = 0;

    for (uint32_t n = 0; err == NR_OK && nr_line_next(&rest, &line); n++) {
        struct nr_record record;

        nr_logline_parse(f->log, line, &record);
        if (n == 0 && b->continues)
            record = f->record; /* spans are not used */
        if (b->goes_on)
            f->record = record;
        for (; err == NR_OK && i < f->matches.n && f->matches.v[i].line == n;
             i++)
            err = hit(f, b, &f->matches.v[i], &record, d);
    }
    return err;
}

static enum nr_err
block(struct watch_file *f, const struct nr_block *b, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (!f->log)
        err = learn(f, b, d);
    if (err != NR_OK)
        return err;
    if (!b->continues)
        f->n_told = 0;
    f->tokens.flags = f->conf->scan | nr_watchlist_scan_flags(f->conf->list);
    err = block_scan(b, &f->tokens);
    if (err == NR_OK)
        err = nr_watchlist_match(f->conf->list, &f->tokens, &f->matches);
    if (err != NR_OK)
        return nr_fail(d, err, 0, "watch: out of memory");
    err = lines(f, b, d);
    f->conf->lines += b->lines - (b->continues ? 1 : 0);
    return err;
}

/* All blocks that can be read now. */
static enum nr_err
drain(struct watch_file *f, bool *fatal, struct nr_diag *d)
{
    struct nr_block b = { 0 };
    enum nr_err err;

    for (;;) {
        err = nr_input_next(f->in, &b, d);
        if (err != NR_OK || b.text.n == 0)
            return err;
        err = block(f, &b, d);
        if (err != NR_OK) {
            *fatal = true;
            return err;
        }
    }
}

/* The rest of the old file, then the new one under its name, if there. */
static enum nr_err
reopen(struct watch_file *f, bool whole, bool *fatal, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (f->in && whole) {
        nr_input_finish(f->in);
        err = drain(f, fatal, d);
    }
    nr_input_free(f->in);
    nr_logfile_free(f->log);
    f->in = NULL;
    f->log = NULL;
    f->n_told = 0;
    if (err != NR_OK)
        return err;
    err = open_input(f, NULL);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

enum nr_err
watch_file_read(struct watch_file *f, bool *fatal, struct nr_diag *d)
{
    enum nr_input_state state;
    enum nr_err err = NR_OK;

    *fatal = false;
    if (!f->in)
        err = reopen(f, false, fatal, d);
    if (err != NR_OK || !f->in)
        return err;
    state = f->conf->follow ? nr_input_check(f->in) : NR_INPUT_SAME;
    if (state == NR_INPUT_SHRUNK)
        err = reopen(f, false, fatal, d);
    else if (state == NR_INPUT_ROTATED)
        err = reopen(f, true, fatal, d);
    if (err != NR_OK || !f->in)
        return err;
    return drain(f, fatal, d);
}

enum nr_err
watch_file_finish(struct watch_file *f, bool *fatal, struct nr_diag *d)
{
    *fatal = false;
    if (!f->in)
        return NR_OK;
    nr_input_finish(f->in);
    return drain(f, fatal, d);
}

void
watch_file_forget(struct watch_file *f)
{
    f->n_told = 0;
}
