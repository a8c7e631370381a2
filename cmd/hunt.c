/* noroshi hunt: ask the archive about a list of indicators. */
#include "archive/archive.h"
#include "archive_key.h"
#include "base/ct.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "clickhouse/clickhouse.h"
#include "cmds.h"
#include "hunt_detail.h"
#include "hunt_stix.h"
#include "hunt_summary.h"
#include "list.h"
#include "logline/logline.h"
#include "watchlist/watchlist.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MEMORY ((size_t)8 << 30)  /* gaps of all answers; sparse */
#define ROW_MAX       ((size_t)64 << 20) /* octets of one row of output */

enum form { FORM_TSV, FORM_JSON, FORM_STIX };

enum stage { STAGE_LISTS, STAGE_OPEN, STAGE_ANSWERS, STAGES };

struct wanted {
    struct cli *cli;
    struct cli_list lists;
    const char *archive, *key_file, *format, *time;
    bool all, lines, newest, stats, detail, summary;
    uint64_t limit, threads;
    enum form form;
    bool iso;
    struct list *list;
    struct nr_arena arena;
    const struct nr_indicator **v;
    struct nr_answer *answers;
    size_t n;
    struct nr_detail *details; /* with --detail */
    struct nr_buf row;
    bool seen, printed; /* printed: the answers, before the first line */
    struct nr_diag *why;
    int64_t at_us; /* --stats: when the last stage ended */
    double took_ms[STAGES];
};

static void
end_stage(struct wanted *w, enum stage s)
{
    int64_t now = w->cli->env.now_us(w->cli->env.ctx);

    w->took_ms[s] = (double)(now - w->at_us) / 1000;
    w->at_us = now;
}

static void
problem(void *ctx, const struct nr_diag *d)
{
    struct wanted *w = ctx;

    (void)cli_fail(w->cli, d);
}

static void
put_time(struct wanted *w, int64_t s)
{
    char buf[NR_RFC3339_MAX];

    if (s == NR_TIME_NONE)
        nr_buf_put_c(&w->row, '-');
    else if (w->iso)
        nr_buf_put_str(&w->row, nr_str_of(nr_time_print(s, buf)));
    else
        nr_buf_printf(&w->row, "%lld", (long long)s);
}

static void
put_sources(struct nr_buf *b, uint32_t mask)
{
    const char *comma = "";

    for (unsigned i = 0; i < NR_SOURCES; i++) {
        if (!(mask >> i & 1))
            continue;
        nr_buf_printf(b, "%s%s", comma, nr_source_name((enum nr_source)i));
        comma = ",";
    }
    if (!mask)
        nr_buf_put_c(b, '-');
}

static void
put_notes(struct nr_buf *b, uint32_t notes)
{
    const char *comma = "";

    for (unsigned i = 0; i < NR_NOTES; i++) {
        if (!(notes >> i & 1))
            continue;
        nr_buf_printf(b, "%s%s", comma, nr_note_name(i));
        comma = ",";
    }
    if (!notes)
        nr_buf_put_c(b, '-');
}

static enum nr_err
flush(struct wanted *w)
{
    struct nr_bytes out = nr_buf_bytes(&w->row);
    enum nr_err err = w->row.err;

    if (!err && out.n > 0 && fwrite(out.p, 1, out.n, stdout) != out.n)
        err = NR_ESYS;
    nr_buf_reset(&w->row);
    return err;
}

static void
row_tsv(struct wanted *w, size_t at)
{
    const struct nr_indicator *i = w->v[at];
    const struct nr_answer *a = &w->answers[at];

    nr_buf_printf(&w->row, "%s\t", nr_kind_name(i->kind));
    nr_buf_put_str(&w->row, i->value);
    nr_buf_printf(&w->row, "\t%llu\t", (unsigned long long)a->lines);
    put_time(w, a->first_s);
    nr_buf_put_c(&w->row, '\t');
    put_time(w, a->last_s);
    nr_buf_printf(&w->row, "\t%s\t%llu\t%llu\t", nr_answer_name(a->answer),
        (unsigned long long)a->denied, (unsigned long long)a->days);
    put_sources(&w->row, a->sources);
    nr_buf_printf(&w->row, "\t%.3f\t", a->coverage);
    put_notes(&w->row, a->notes);
    nr_buf_put_c(&w->row, '\n');
    if (w->details) {
        struct nr_detail_of x = nr_detail_get(w->details, at);

        hunt_detail_tsv(&w->row, i, &x, w->iso);
    }
}

static void
json_time(struct wanted *w, struct nr_json_out *o, struct nr_str name,
    int64_t s)
{
    char buf[NR_RFC3339_MAX];

    nr_json_key(o, name);
    if (s == NR_TIME_NONE)
        nr_json_put_null(o);
    else if (w->iso)
        nr_json_put_str(o, nr_str_of(nr_time_print(s, buf)));
    else
        nr_json_put_i64(o, s);
}

static void
json_days(struct nr_json_out *o, struct nr_days d)
{
    char buf[NR_RFC3339_MAX];

    nr_json_open_array(o);
    nr_json_put_str(o, nr_str_of(nr_day_print(d.from, buf)));
    nr_json_put_str(o, nr_str_of(nr_day_print(d.to, buf)));
    nr_json_close_array(o);
}

static enum nr_err
row_json(struct wanted *w, size_t at)
{
    const struct nr_indicator *i = w->v[at];
    const struct nr_answer *a = &w->answers[at];
    struct nr_json_out o;
    enum nr_err err;

    nr_json_out_init(&o, &w->row);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("kind"), nr_str_of(nr_kind_name(i->kind)));
    nr_json_member_str(&o, NR_STR("indicator"), i->value);
    nr_json_member_i64(&o, NR_STR("lines"), (int64_t)a->lines);
    json_time(w, &o, NR_STR("first"), a->first_s);
    json_time(w, &o, NR_STR("last"), a->last_s);
    nr_json_member_str(&o, NR_STR("answer"),
        nr_str_of(nr_answer_name(a->answer)));
    nr_json_member_i64(&o, NR_STR("denied"), (int64_t)a->denied);
    nr_json_member_i64(&o, NR_STR("days"), (int64_t)a->days);
    nr_json_key(&o, NR_STR("sources"));
    nr_json_open_array(&o);
    for (unsigned k = 0; k < NR_SOURCES; k++)
        if (a->sources >> k & 1)
            nr_json_put_str(&o, nr_str_of(nr_source_name((enum nr_source)k)));
    nr_json_close_array(&o);
    nr_json_key(&o, NR_STR("coverage"));
    nr_json_put_double(&o, a->coverage);
    nr_json_key(&o, NR_STR("kinds"));
    nr_json_open_array(&o);
    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        if (a->kinds >> k & 1)
            nr_json_put_str(&o, nr_str_of(nr_log_kind_name(k)));
    nr_json_close_array(&o);
    if (a->window.from <= a->window.to) {
        nr_json_key(&o, NR_STR("window"));
        json_days(&o, a->window);
    }
    nr_json_key(&o, NR_STR("gaps"));
    nr_json_open_array(&o);
    for (size_t g = 0; g < a->n_gaps; g++)
        json_days(&o, a->gaps[g]);
    nr_json_close_array(&o);
    nr_json_key(&o, NR_STR("notes"));
    nr_json_open_array(&o);
    for (unsigned k = 0; k < NR_NOTES; k++)
        if (a->notes >> k & 1)
            nr_json_put_str(&o, nr_str_of(nr_note_name(k)));
    nr_json_close_array(&o);
    if (i->warn.n > 0)
        nr_json_member_str(&o, NR_STR("warninglist"), i->warn);
    if (w->details) {
        struct nr_detail_of x = nr_detail_get(w->details, at);

        hunt_detail_json(&o, &x, w->iso);
    }
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    nr_buf_put_c(&w->row, '\n');
    return err;
}

static void
line_tsv(struct wanted *w, const struct nr_archive_line *l)
{
    const struct nr_indicator *i = w->v[l->indicator];

    nr_buf_printf(&w->row, "line\t%s\t", nr_kind_name(i->kind));
    nr_buf_put_str(&w->row, i->value);
    nr_buf_printf(&w->row, "\t%s\t%llu\t%llu\t%016llx\t", l->file,
        (unsigned long long)l->line, (unsigned long long)l->at,
        (unsigned long long)l->block);
    put_time(w, l->time_s);
    nr_buf_put_c(&w->row, '\t');
    nr_buf_put(&w->row, l->text);
    nr_buf_put_c(&w->row, '\n');
}

static enum nr_err
line_json(struct wanted *w, const struct nr_archive_line *l)
{
    const struct nr_indicator *i = w->v[l->indicator];
    struct nr_json_out o;
    char hex[17];
    enum nr_err err;

    (void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)l->block);
    nr_json_out_init(&o, &w->row);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("kind"), nr_str_of(nr_kind_name(i->kind)));
    nr_json_member_str(&o, NR_STR("indicator"), i->value);
    nr_json_member_str(&o, NR_STR("file"), nr_str_of(l->file));
    nr_json_member_i64(&o, NR_STR("line"), (int64_t)l->line);
    nr_json_member_i64(&o, NR_STR("offset"), (int64_t)l->at);
    nr_json_member_str(&o, NR_STR("block"), nr_str_of(hex));
    json_time(w, &o, NR_STR("time"), l->time_s);
    nr_json_member_bool(&o, NR_STR("denied"), l->denied);
    nr_json_key(&o, NR_STR("text"));
    nr_json_put_bytes(&o, l->text);
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    nr_buf_put_c(&w->row, '\n');
    return err;
}

static enum nr_err
print_answers(struct wanted *w, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    w->printed = true;
    for (size_t i = 0; i < w->n; i++)
        if (w->answers[i].lines > 0 || w->all)
            list_spell(w->list, i);
    if (w->form == FORM_STIX)
        return hunt_stix(&w->cli->env, w->v, w->answers, w->n, w->all, d);
    for (size_t i = 0; !err && i < w->n; i++) {
        if (w->answers[i].lines == 0 && !w->all)
            continue;
        if (w->form == FORM_JSON)
            err = row_json(w, i);
        else
            row_tsv(w, i);
        if (!err)
            err = flush(w);
    }
    return err ? nr_fail(d, err, 0, "hunt: answers cannot be written") : err;
}

static enum nr_err
print_line(void *ctx, const struct nr_archive_line *l)
{
    struct wanted *w = ctx;
    enum nr_err err = w->printed ? NR_OK : print_answers(w, w->why);

    if (err)
        return err;
    if (w->form == FORM_JSON)
        err = line_json(w, l);
    else
        line_tsv(w, l);
    return err ? err : flush(w);
}

struct stores {
    struct nr_archive *a;
    struct nr_clickhouse *c; /* the one that is not NULL */
};

static enum nr_err
ask(struct wanted *w, const struct stores *s, const struct nr_hunt_options *o,
    struct nr_diag *d)
{
    return s->c
        ? nr_clickhouse_hunt(s->c, w->v, w->n, o, &w->arena, w->answers, d)
        : nr_archive_hunt(s->a, w->v, w->n, o, &w->arena, w->answers, d);
}

/* As many as asked for, else as there are cores. */
static unsigned
threads_of(const struct wanted *w)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (w->threads > 0)
        return (unsigned)w->threads;
    return cores > 1 ? (unsigned)nr_min((size_t)cores, NR_HUNT_THREADS_MAX) : 1;
}

/* The answers; with details and lines asked for, the question goes out twice:
 * hosts are known when all lines were seen, and stand before them. */
static enum nr_err
run(struct wanted *w, const struct stores *s, struct nr_diag *d)
{
    struct nr_hunt_options o = { .now_s = nr_env_now_s(&w->cli->env),
        .threads = threads_of(w) };
    enum nr_err err = NR_OK;

    w->answers = calloc(w->n + 1, sizeof(*w->answers));
    if (!w->answers)
        return nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for answers");
    nr_mem_large(w->answers, w->n * sizeof(*w->answers));
    w->why = d;
    if (w->detail) {
        err = nr_detail_new(w->v, w->n, &w->details, d);
        o.line = nr_detail_line;
        o.line_ctx = w->details;
    }
    if (!err && (w->detail || !w->lines))
        err = ask(w, s, &o, d);
    if (!err && w->detail)
        err = nr_detail_end(w->details, d);
    if (!err && w->lines) {
        o.line = print_line;
        o.line_ctx = w;
        o.newest = w->newest;
        o.limit = w->limit;
        err = ask(w, s, &o, d);
    }
    end_stage(w, STAGE_ANSWERS); /* lines are printed in it */
    if (!err && !w->printed)
        err = print_answers(w, d);
    if (!err && w->summary)
        err = hunt_summary(s->a, s->c, w->answers, w->n, d);
    for (size_t i = 0; i < w->n; i++)
        w->seen |= w->answers[i].answer == NR_ANSWER_SEEN;
    w->why = NULL;
    return err;
}

static bool
forms(struct wanted *w)
{
    static const char *const names[] = { "tsv", "json", "stix" };
    bool known = !w->format;

    for (unsigned i = 0; w->format && i < 3; i++)
        if (strcmp(w->format, names[i]) == 0) {
            w->form = (enum form)i;
            known = true;
        }
    if (!known)
        (void)cli_error(w->cli, "--format %s: is none of tsv, json, stix",
            w->format);
    if (w->time && strcmp(w->time, "iso") != 0 &&
        strcmp(w->time, "epoch") != 0) {
        (void)cli_error(w->cli, "--time %s: is none of epoch, iso", w->time);
        known = false;
    }
    w->iso = w->time && strcmp(w->time, "iso") == 0;
    if (!w->lines && (w->newest || w->limit > 0)) {
        (void)cli_error(w->cli, "--%s: is for --lines",
            w->newest ? "newest" : "limit");
        known = false;
    }
    if (w->threads > NR_HUNT_THREADS_MAX) {
        (void)cli_error(w->cli, "--threads %llu: at most %zu",
            (unsigned long long)w->threads, NR_HUNT_THREADS_MAX);
        known = false;
    }
    if (w->lines && w->form == FORM_STIX) {
        (void)cli_error(w->cli,
            "--lines: log lines are not put into STIX; use tsv or json");
        known = false;
    }
    if (w->detail && w->form == FORM_STIX) {
        (void)cli_error(w->cli,
            "--detail: hosts of your own are not put into STIX, which is for "
            "others; use tsv or json");
        known = false;
    }
    return known;
}

static int
hunt(struct wanted *w)
{
    char dir[NR_PATH_MAX];
    struct nr_archive_caller p = { .say = problem, .ctx = w };
    struct nr_archive_key key = { 0 };
    struct stores s = { NULL, NULL };
    struct nr_diag d = { 0 };
    size_t damaged = 0;
    enum nr_err err;

    w->at_us = w->cli->env.now_us(w->cli->env.ctx);
    err = nr_path_join(dir, w->cli->home, "archive", &d);
    if (!err)
        err = list_load(w->cli, w->lists.v, w->lists.n, &w->list, &d);
    if (!err)
        list_indicators(w->list, &w->v, &w->n);
    end_stage(w, STAGE_LISTS);
    if (!err && w->archive && nr_clickhouse_is(w->archive))
        err = nr_clickhouse_open(w->archive, false, &s.c, &d);
    else if (!err)
        err = archive_key(w->cli, w->archive ? w->archive : dir, w->key_file,
            &key, &p.key, &d);
    if (!err && !s.c)
        err = nr_archive_open(w->archive ? w->archive : dir, NR_ARCHIVE_READ,
            &p, &s.a, &d);
    nr_wipe(&key, sizeof(key));
    end_stage(w, STAGE_OPEN);
    if (!err)
        err = run(w, &s, &d);
    if (w->stats)
        (void)fprintf(stderr,
            "stats lists %.3f ms open %.3f ms answers %.3f ms\n",
            w->took_ms[STAGE_LISTS], w->took_ms[STAGE_OPEN],
            w->took_ms[STAGE_ANSWERS]);
    if (s.a)
        damaged = nr_archive_damaged(s.a);
    nr_archive_close(s.a);
    nr_clickhouse_close(s.c);
    nr_detail_free(w->details);
    free(w->answers);
    list_free(w->list);
    if (err) {
        (void)nr_fail(&d, err, 0, "hunt: failed");
        return cli_fail(w->cli, &d);
    }
    return damaged > 0 ? CLI_INCOMPLETE : w->seen ? CLI_SEEN : CLI_NOTHING;
}

int
cmd_hunt(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "-i LIST... [--home DIR | --archive DIR] [--key FILE] [--all] "
        "[--detail] "
        "[--lines] [--newest] [--limit N] [--format tsv|json|stix] [--time "
        "epoch|iso] "
        "[--stats] [--summary] [--threads N]";
    struct wanted w = { .cli = cli };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &cli->home },
        { "archive", 0, CLI_TEXT, &w.archive },
        { "key", 0, CLI_TEXT, &w.key_file },
        { "indicators", 'i', CLI_LIST, &w.lists },
        { "all", 'a', CLI_FLAG, &w.all },
        { "detail", 0, CLI_FLAG, &w.detail },
        { "lines", 'l', CLI_FLAG, &w.lines },
        { "newest", 0, CLI_FLAG, &w.newest },
        { "limit", 0, CLI_U64, &w.limit },
        { "stats", 0, CLI_FLAG, &w.stats },
        { "threads", 'j', CLI_U64, &w.threads },
        { "summary", 0, CLI_FLAG, &w.summary },
        { "format", 0, CLI_TEXT, &w.format },
        { "time", 0, CLI_TEXT, &w.time },
        { NULL, 0, CLI_FLAG, NULL },
    };
    int n, status;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 0 || w.lists.n == 0)
        return cli_usage(cli, usage);
    if (!forms(&w))
        return CLI_ERROR;
    nr_arena_init(&w.arena, ANSWER_MEMORY);
    nr_buf_init(&w.row, ROW_MAX);
    status = hunt(&w);
    nr_buf_fini(&w.row);
    nr_arena_fini(&w.arena);
    return status;
}
