#include "watch_out.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define STATS_MAX ((size_t)4096) /* octets of a line of counters */

/* --- outputs --- */

static void
on_say(void *ctx, const char *text)
{
    struct watch_out *o = ctx;

    watch_out_clear(o);
    cli_warn(o->cli, "%s", text);
}

/* TEXT without HEAD in front, or NULL. */
static const char *
after(const char *text, const char *head)
{
    size_t n = strlen(head);

    return strncmp(text, head, n) == 0 ? text + n : NULL;
}

/* The form of the rows; they are wanted if nothing else takes the hits. */
static enum nr_err
choose_form(const struct watch_out *o, enum nr_alert_form *form, bool *rows,
    struct nr_diag *d)
{
    static const struct {
        const char *name;
        enum nr_alert_form form;
    } forms[] = { { "tsv", NR_ALERT_TSV }, { "json", NR_ALERT_JSON },
        { "stix", NR_ALERT_STIX } };

    unsigned chosen = (unsigned)o->json << NR_ALERT_JSON |
        (unsigned)o->stix << NR_ALERT_STIX;
    size_t others = 0;

    for (size_t i = 0; i < o->outputs.n; i++) {
        const char *what = o->outputs.v[i];
        size_t k = 0;

        while (k < 3 && strcmp(what, forms[k].name) != 0)
            k++;
        if (k < 3)
            chosen |= 1u << forms[k].form;
        else if (after(what, "syslog:") || after(what, "command:"))
            others++;
        else
            return nr_fail_name(d, NR_EFORMAT,
                "--output: tsv, json, stix, syslog:ADDRESS or command:COMMAND "
                "wanted",
                what);
    }
    if (chosen & (chosen - 1))
        return nr_fail(d, NR_EFORMAT, 0,
            "--output: one of tsv, json and stix for the rows");
    *form = chosen == 1u << NR_ALERT_JSON ? NR_ALERT_JSON
        : chosen == 1u << NR_ALERT_STIX   ? NR_ALERT_STIX
                                          : NR_ALERT_TSV;
    *rows = chosen != 0 || others == 0 || o->file;
    return NR_OK;
}

static enum nr_err
add_outputs(struct watch_out *o, enum nr_alert_form form, bool rows,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (rows && o->file)
        err = nr_alert_add_file(o->alert, form, o->file, d);
    else if (rows)
        err = nr_alert_add_fd(o->alert, form, STDOUT_FILENO, "standard output",
            d);
    for (size_t i = 0; i < o->outputs.n && err == NR_OK; i++) {
        const char *address = after(o->outputs.v[i], "syslog:");
        const char *command = after(o->outputs.v[i], "command:");

        if (address)
            err = nr_alert_add_syslog(o->alert, address, d);
        else if (command)
            err = nr_alert_add_command(o->alert, command, d);
    }
    return err;
}

static enum nr_err
conf_of(struct watch_out *o, bool follow, struct nr_alert_conf *c,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    *c = (struct nr_alert_conf){ .env = o->cli->env,
        .iso = o->time && strcmp(o->time, "iso") == 0,
        .follow = follow,
        .actions = NR_ALERT_ALL,
        .valid_only = o->valid,
        .host = o->host,
        .pid = (uint32_t)getpid(),
        .environ = environ,
        .say = on_say,
        .ctx = o };
    if (gethostname(o->host, sizeof(o->host) - 1) != 0)
        o->host[0] = 0;
    if (o->time && !c->iso && strcmp(o->time, "epoch") != 0)
        return nr_fail_name(d, NR_EFORMAT, "--time: epoch or iso wanted",
            o->time);
    if (o->rate)
        err = nr_alert_rate_parse(nr_str_of(o->rate), &c->rate, &c->interval_us,
            d);
    if (err == NR_OK && o->only)
        err = nr_alert_actions_parse(nr_str_of(o->only), &c->actions, d);
    nr_diag_add_name(d,
        err != NR_OK && o->rate && c->rate == 0 ? o->rate
            : err != NR_OK                      ? o->only
                                                : NULL);
    return err;
}

int
watch_out_open(struct watch_out *o, struct cli *cli, bool follow)
{
    struct nr_alert_conf conf;
    enum nr_alert_form form = NR_ALERT_TSV;
    struct nr_diag d = { 0 };
    bool rows = true;
    enum nr_err err;

    o->cli = cli;
    err = choose_form(o, &form, &rows, &d);
    if (err == NR_OK)
        err = conf_of(o, follow, &conf, &d);
    /* Else a file opened later would be taken for it. */
    if (err == NR_OK && fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err = nr_fail_sys(&d, "standard output");
    if (err == NR_OK)
        err = nr_alert_create(&conf, &o->alert, &d);
    if (err == NR_OK)
        err = add_outputs(o, form, rows, &d);
    if (err != NR_OK)
        return cli_fail(cli, &d);
    o->json = form == NR_ALERT_JSON;
    /* A reader that goes away is an error of write(2) like others. */
    (void)signal(SIGPIPE, SIG_IGN);
    o->bar = !follow && isatty(STDERR_FILENO) &&
        !(rows && !o->file && isatty(STDOUT_FILENO));
    return CLI_NOTHING;
}

void
watch_out_close(struct watch_out *o)
{
    watch_out_clear(o);
    nr_alert_destroy(o->alert);
    o->alert = NULL;
}

/* --- work --- */

/* The reader of our rows went away: stop as if that had been asked. */
static enum nr_err
settle(struct watch_out *o, enum nr_err err)
{
    if (err != NR_OK && nr_alert_is_gone(o->alert))
        o->stopped = true;
    return err;
}

enum nr_err
watch_out_hit(struct watch_out *o, const struct nr_hit *h, struct nr_diag *d)
{
    return settle(o, nr_alert_hit(o->alert, h, d));
}

enum nr_err
watch_out_mark(struct watch_out *o, struct nr_buf *extra, struct nr_diag *d)
{
    return settle(o, nr_alert_save(o->alert, extra, d));
}

enum nr_err
watch_out_cut(struct watch_out *o, struct nr_bytes extra, struct nr_diag *d)
{
    return nr_alert_load(o->alert, extra, d);
}

static void
put_stderr(struct nr_buf *b)
{
    if (b->err == NR_OK && b->n > 0)
        (void)fwrite(b->p, 1, b->n, stderr);
}

static void
draw(struct watch_out *o, const struct nr_watch_stats *stats)
{
    struct nr_progress_now now = { .now_us = o->cli->env.now_us(
                                       o->cli->env.ctx),
        .done = stats->size > 0 ? stats->size_done : stats->octets,
        .total = stats->size,
        .hits = stats->hits };
    struct winsize size;
    struct nr_buf b;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0)
        now.columns = size.ws_col;
    nr_buf_init(&b, STATS_MAX);
    nr_progress_draw(&o->progress, &now, &b);
    put_stderr(&b);
    nr_buf_fini(&b);
}

enum nr_err
watch_out_tick(struct watch_out *o, const struct nr_watch_stats *stats,
    bool idle, struct nr_diag *d)
{
    (void)idle; /* rows that have waited a tick have waited long enough */
    if (o->bar)
        draw(o, stats);
    return settle(o, nr_alert_tick(o->alert, d));
}

static struct nr_alert_counts
counts_of(const struct watch_out *o)
{
    struct nr_alert_counts c = { 0 };

    nr_alert_count(o->alert, &c);
    return c;
}

void
watch_out_clear(struct watch_out *o)
{
    struct nr_buf b;

    nr_buf_init(&b, STATS_MAX);
    nr_progress_clear(&o->progress, &b);
    put_stderr(&b);
    nr_buf_fini(&b);
}

void
watch_out_print_stats(struct watch_out *o, const struct nr_watch_stats *s)
{
    struct nr_alert_counts c = counts_of(o);
    const struct nr_figure figures[] = {
        { "octets", s->octets },
        { "lines", s->lines },
        { "hits", s->hits },
        { "denied", s->denied },
        { "files", s->files },
        { "failed", s->failed },
        { "spots", s->spots },
        { "false_spots", s->false_spots },
        { "waits_input", s->waits_input },
        { "waits_output", s->waits_output },
        { "threads", s->threads },
        { "indicators", s->indicators },
        { "swaps", s->swaps },
        { "saves", s->saves },
        { "passed", c.passed },
        { "rows", c.rows },
        { "held", c.held },
        { "rollups", c.rollups },
        { "waiting", c.waiting },
        { "dropped", c.dropped },
        { "restarts", c.restarts },
    };
    struct nr_buf b;

    watch_out_clear(o);
    nr_buf_init(&b, STATS_MAX);
    nr_figures_print(figures, sizeof(figures) / sizeof(*figures), o->json, &b);
    put_stderr(&b);
    nr_buf_fini(&b);
}

int
watch_out_finish(struct watch_out *o, enum nr_err err, const struct nr_diag *d,
    const struct nr_watch_stats *stats, bool incomplete)
{
    struct nr_alert_counts c;
    struct nr_diag why = { 0 };
    bool seen;

    if (err != NR_OK)
        why = *d;
    else
        err = settle(o, nr_alert_finish(o->alert, &why));
    c = counts_of(o);
    seen = c.passed > c.denied;
    watch_out_clear(o);
    if (o->stats)
        watch_out_print_stats(o, stats);
    /* What was not read cannot be said to hold nothing. */
    if (err != NR_OK && o->stopped)
        return seen ? CLI_SEEN : CLI_INCOMPLETE;
    if (err != NR_OK)
        return cli_fail(o->cli, &why);
    if (incomplete || c.dropped > 0)
        return CLI_INCOMPLETE;
    return seen ? CLI_SEEN : CLI_NOTHING;
}
