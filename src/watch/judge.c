/* Judging: which lines of a block contain indicators of the list. */
#include "watch/engine.h"

#include <stdlib.h>

void
nr_judge_init(struct judge *j, unsigned cpu)
{
    nr_tokens_init(&j->tokens, 0);
    nr_matches_init(&j->matches);
    nr_spots_init(&j->spots);
    j->sieve = NULL;
    j->list = NULL;
    j->cpu = cpu;
}

void
nr_judge_fini(struct judge *j)
{
    nr_tokens_fini(&j->tokens);
    nr_matches_fini(&j->matches);
    nr_spots_fini(&j->spots);
    nr_sieve_destroy(j->sieve);
    nr_list_drop(j->list);
}

/* Is there nothing but what a token leaves at its ends in [AT, END)? */
static bool
only_trimmings(struct nr_bytes text, size_t at, size_t end)
{
    for (; at < end; at++)
        if (!strchr(".-,;:!?)]", text.p[at]) || text.p[at] == '\0')
            return false;
    return true;
}

/* Where a line was torn inside a run, the tokens that touch the tear are no
 * whole ones and are taken out. */
static void
drop_torn(const struct nr_block *b, struct nr_tokens *t)
{
    size_t n = 0;

    if (!b->torn_head && !b->torn_tail)
        return;
    for (size_t i = 0; i < t->n; i++) {
        const struct nr_token *k = &t->v[i];

        if ((b->torn_head && only_trimmings(b->text, 0, k->at)) ||
            (b->torn_tail &&
                only_trimmings(b->text, k->at + k->len, b->text.n)))
            continue;
        t->v[n++] = *k;
    }
    t->n = n;
}

/* The matches of J, tokens of a part of the block that begins at AT with line
 * LINE, become hits. */
static enum nr_err
take_matches(struct judge *j, struct slot *s, uint32_t at, uint32_t line,
    struct nr_diag *d)
{
    for (size_t i = 0; i < j->matches.n; i++) {
        const struct nr_match *m = &j->matches.v[i];
        const struct nr_token *k = &j->tokens.v[m->token];
        uint32_t start = at + j->tokens.line_at[m->line];
        struct spot_hit *h;

        if (!nr_watch_room(&s->hits, &s->cap_hits, s->n_hits, sizeof(*h)))
            return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
        h = &s->hits[s->n_hits];
        *h = (struct spot_hit){ .line = line + m->line,
            .line_at = start,
            .at = at + k->at,
            .n = k->len,
            .indicator = m->indicator };
        h->line_n = (uint32_t)nr_logtext_line(&s->lines, s->block.text, h->line)
                        .n;
        s->n_hits++;
    }
    return NR_OK;
}

/* By the scanner alone. */
static enum nr_err
judge_all(struct judge *j, struct slot *s, struct nr_diag *d)
{
    enum nr_err err;

    j->tokens.flags = s->list->scan;
    err = nr_scanner_choose(j->cpu).scan(s->block.text, &j->tokens);
    if (!err) {
        drop_torn(&s->block, &j->tokens);
        err = nr_watchlist_match(s->list->w, &j->tokens, &j->matches);
    }
    if (err)
        return nr_fail(d, err, 0, "watch: out of memory");
    return take_matches(j, s, 0, 0, d);
}

/* The sieve of the block's list, where there can be one. */
static enum nr_err
choose_sieve(struct judge *j, struct list *l, struct nr_diag *d)
{
    struct nr_sieve_set sets[NR_SIEVE_SETS_MAX];
    unsigned options = (l->scan & NR_SCAN_FANGS ? NR_SIEVE_FANGS : 0u) |
        (l->scan & (NR_SCAN_URL_PREFIX | NR_SCAN_URL_BARE) ? NR_SIEVE_URL_PREFIX
                                                           : 0u);
    size_t n = 0;

    if (j->list == l)
        return NR_OK;
    nr_sieve_destroy(j->sieve);
    j->sieve = NULL;
    nr_list_drop(j->list);
    j->list = l;
    l->refs++;
    if (l->scan & NR_SCAN_BEYOND_SIEVE)
        return NR_OK;
    nr_watchlist_sieve(l->w, sets, &n);
    return n == 0 ? NR_OK
                  : nr_sieve_create(sets, n, options, j->cpu, &j->sieve, d);
}

/* Only lines with spots are scanned. */
static enum nr_err
judge_spots(struct judge *j, struct slot *s, struct nr_diag *d)
{
    struct nr_bytes text = s->block.text;
    const struct nr_logtext *t = &s->lines;
    enum nr_err err = nr_sieve_run(j->sieve, text, &j->spots);
    size_t done = 0;

    j->tokens.flags = s->list->scan;
    s->spots = j->spots.n;
    for (size_t i = 0; i < j->spots.n && !err; i++) {
        size_t line, had = s->n_hits;
        uint32_t start;

        if (j->spots.v[i] < done)
            continue;
        line = nr_logtext_find(t, j->spots.v[i]);
        start = t->line[line];
        done = line + 1 < t->n ? t->line[line + 1] : text.n;
        err = nr_scan(nr_bytes_sub(text, start, done), &j->tokens);
        if (!err)
            err = nr_watchlist_match(s->list->w, &j->tokens, &j->matches);
        if (!err)
            err = take_matches(j, s, start, (uint32_t)line, d);
        s->false_spots += s->n_hits == had;
    }
    return err ? nr_fail(d, err, 0, "watch: out of memory") : NR_OK;
}

enum nr_err
nr_judge(const struct nr_watch *w, struct judge *j, struct slot *s,
    struct nr_diag *d)
{
    enum nr_err err = choose_sieve(j, s->list, d);

    (void)w;
    s->n_hits = 0;
    s->spots = s->false_spots = 0;
    if (err)
        return err;
    if (nr_logtext_survey(&s->lines, s->block.text, j->cpu) != NR_OK)
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    /* pieces of a long line do not begin where a line does */
    if (!j->sieve || s->block.continues || s->block.goes_on)
        return judge_all(j, s, d);
    return judge_spots(j, s, d);
}
