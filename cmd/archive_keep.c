/* noroshi archive prune, hold: what may go and what must stay. */
#include "archive_keep.h"

#include "archive_key.h"

#include "archive/keep.h"
#include "base/file.h"
#include "list.h"
#include "member/member.h"
#include "watchlist/watchlist.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLAN_MEMORY ((size_t)256 << 20)

static void
problem(void *ctx, const struct nr_diag *d)
{
    struct archive_keep *k = ctx;

    k->failed++;
    (void)cli_fail(k->cli, d);
}

enum nr_err
archive_keep_open(struct archive_keep *k, bool write, bool quiet,
    struct nr_archive **out, struct nr_diag *d)
{
    struct nr_archive_caller p = { .ctx = k };
    enum nr_err key;

    if (!k->dir) {
        enum nr_err err = nr_path_join(k->dir_text, k->cli->home, "archive", d);

        if (err)
            return err;
        k->dir = k->dir_text;
    }
    /* Nothing is to be made here: an archive that is not is a mistake. */
    if (access(k->dir, F_OK) != 0)
        return nr_fail_name(d, NR_ENOTFOUND,
            "archive: does not exist; noroshi archive add makes it", k->dir);
    if (!quiet)
        p.say = problem;
    key = archive_key(k->cli, k->dir, k->key_file, &k->key, &p.key, d);
    k->has_key = p.key;
    return key ? key
               : nr_archive_open(k->dir,
                     write ? NR_ARCHIVE_WRITE : NR_ARCHIVE_READ, &p, out, d);
}

/* The rule */

static bool
kind_rule(const struct archive_keep *k, const char *text, int64_t today,
    struct nr_keep_rule *r)
{
    struct nr_str days, name = nr_str_cut(nr_str_of(text), '=', &days);
    uint64_t n;

    for (unsigned bit = 0; bit < NR_LOG_KINDS; bit++) {
        if (!nr_str_eq(name, nr_str_of(nr_log_kind_name(bit))))
            continue;
        if (!nr_str_to_u64(days, &n) || n == 0 || n > (uint64_t)today)
            break;
        r->own |= 1u << bit;
        r->kind_before[bit] = today - (int64_t)n;
        return true;
    }
    (void)cli_error(k->cli,
        "--keep-kind %s: is no KIND=DAYS; kinds are those "
        "of noroshi archive stat",
        text);
    return false;
}

/* The rule of the home's configuration; *ANY: there is one. Its values were
 * checked when it was read. */
static enum nr_err
configured(const struct archive_keep *k, struct nr_keep_rule *r, bool *any,
    struct nr_diag *d)
{
    int64_t today = nr_day_of(nr_env_now_s(&k->cli->env));
    struct nr_config c = { 0 };
    struct nr_arena arena;
    enum nr_err err;

    nr_arena_init(&arena, PLAN_MEMORY);
    err = nr_config_read(&arena, k->cli->home, &c, d);
    *any = !err && nr_config_keep(&c, today, r);
    nr_arena_fini(&arena);
    return err;
}

static bool
is_bare(const struct archive_keep *k)
{
    return k->before_s == NR_TIME_NONE && k->keep_days == 0 &&
        k->keep_size == 0 && k->kinds.n == 0;
}

static bool
rule_of(const struct archive_keep *k, struct nr_keep_rule *r)
{
    int64_t today = nr_day_of(nr_env_now_s(&k->cli->env));

    if (is_bare(k) && !k->dir) {
        struct nr_diag d = { 0 };
        bool any;

        if (configured(k, r, &any, &d)) {
            (void)cli_fail(k->cli, &d);
            return false;
        }
        if (any)
            return true;
    }
    *r = (struct nr_keep_rule){ .before = NR_KEEP_ALWAYS,
        .max_octets = k->keep_size };
    if ((k->before_s != NR_TIME_NONE && k->keep_days > 0) || is_bare(k)) {
        (void)cli_error(k->cli,
            "prune needs one of --before DAY and "
            "--keep-days N, --keep-size OCTETS, --keep-kind KIND=DAYS, or keep "
            "in the home's config");
        return false;
    }
    if (k->keep_days > (uint64_t)today) {
        (void)cli_error(k->cli, "--keep-days: longer than time is counted");
        return false;
    }
    if (k->before_s != NR_TIME_NONE)
        r->before = nr_day_of(k->before_s);
    else if (k->keep_days > 0)
        r->before = today - (int64_t)k->keep_days;
    for (size_t i = 0; i < k->kinds.n; i++)
        if (!kind_rule(k, k->kinds.v[i], today, r))
            return false;
    return true;
}

/* What it does, said before it is done */

static const char *
day(int64_t s, char *buf)
{
    return s == NR_TIME_NONE ? "-" : nr_day_print(nr_day_of(s), buf);
}

static void
say_segments(const struct nr_archive *a, const struct nr_keep_plan *p)
{
    for (size_t i = 0; i < nr_archive_segments(a); i++) {
        struct nr_segment_info s = nr_archive_segment(a, i);
        char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];
        const char *comma = "";

        if (p->fate[i] == NR_KEEP_STAYS)
            continue;
        (void)printf("%s\t%s\t%s\t%s\t%llu\t",
            p->fate[i] == NR_KEEP_HELD ? "held" : "drop", s.name,
            day(s.first_s, from), day(s.last_s, to),
            (unsigned long long)s.lines);
        for (unsigned k = 0; k < NR_LOG_KINDS; k++)
            if (s.kinds >> k & 1) {
                (void)printf("%s%s", comma, nr_log_kind_name(k));
                comma = ",";
            }
        (void)fputs(s.kinds ? "\t" : "-\t", stdout);
        if (p->fate[i] == NR_KEEP_HELD)
            (void)printf("%.*s\n", NR_FMT(p->hold[i]->name));
        else
            (void)puts(p->fate[i] == NR_KEEP_AGE ? "age" : "size");
    }
}

static void
say_losses(const struct nr_keep_plan *p)
{
    for (size_t i = 0; i < p->n_losses; i++) {
        const struct nr_keep_loss *l = &p->losses[i];
        char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];

        (void)printf("unanswerable\t%s\t%s\t%s\t%lld days\n",
            nr_log_kind_name(l->kind), nr_day_print(l->days.from, from),
            nr_day_print(l->days.to, to),
            (long long)(l->days.to - l->days.from + 1));
    }
}

/* The questions of the lists whose windows lose days. */
static enum nr_err
say_windows(const struct archive_keep *k, const struct nr_archive *a,
    const struct nr_keep_plan *p, struct nr_diag *d)
{
    int64_t now_s = nr_env_now_s(&k->cli->env);
    const struct nr_indicator **v = NULL;
    struct list *list = NULL;
    size_t n = 0, poorer = 0, mute = 0;
    struct nr_archive_stat st;
    enum nr_err err = list_load(k->cli, k->lists.v, k->lists.n, &list, d);

    if (err)
        return err;
    list_indicators(list, &v, &n);
    nr_archive_stat(a, &st);
    for (size_t i = 0; i < n; i++) {
        int64_t oldest = nr_day_of(
            st.first_s == NR_TIME_NONE ? now_s : st.first_s);
        struct nr_days w = nr_archive_window(v[i], now_s, oldest);
        struct nr_keep_cover c = nr_keep_cover(a, p,
            nr_archive_needs(v[i]->kind), w);
        char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];
        double was, is;

        if (c.after >= c.before)
            continue;
        was = (double)c.before / (double)c.window;
        is = (double)c.after / (double)c.window;
        poorer++;
        list_spell(list, i);
        mute += was >= NR_COVERAGE_MIN && is < NR_COVERAGE_MIN;
        (void)printf("window\t%s\t%.*s\t%s\t%s\t%.3f\t%.3f\t%s\n",
            nr_kind_name(v[i]->kind), NR_FMT(v[i]->value),
            nr_day_print(w.from, from), nr_day_print(w.to, to), was, is,
            is < NR_COVERAGE_MIN ? "cannot-say" : "poorer");
    }
    (void)printf("windows\t%zu of %zu lose days, %zu become cannot-say\n",
        poorer, n, mute);
    list_free(list);
    return NR_OK;
}

static enum nr_err
say(const struct archive_keep *k, const struct nr_archive *a,
    const struct nr_keep_plan *p, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    say_segments(a, p);
    say_losses(p);
    if (k->lists.n > 0)
        err = say_windows(k, a, p, d);
    if (p->n_held > 0)
        (void)printf("held\t%zu segments stay for a hold\n", p->n_held);
    if (p->over > 0)
        (void)printf("over\t%llu octets over --keep-size stay for a hold\n",
            (unsigned long long)p->over);
    (void)fflush(stdout);
    return err;
}

static enum nr_err
prune(struct archive_keep *k, struct nr_archive *a,
    const struct nr_keep_rule *rule, struct nr_diag *d)
{
    struct nr_arena arena;
    struct nr_holds holds = { 0 };
    struct nr_keep_plan plan = { 0 };
    size_t n = 0;
    enum nr_err err;

    nr_arena_init(&arena, PLAN_MEMORY);
    err = nr_holds_read(k->dir, &arena, &holds, d);
    if (!err)
        err = nr_keep_plan(a, rule, &holds, &arena, &plan, d);
    if (!err)
        err = say(k, a, &plan, d);
    if (!err && !k->dry_run && !k->yes && plan.n_drop > 0 &&
        isatty(STDIN_FILENO) == 1)
        err = nr_fail(d, NR_EDENIED, 0,
            "archive: nothing dropped; say --yes when that shall be lost");
    if (!err && k->dry_run)
        (void)printf("would drop %zu segments\n", plan.n_drop);
    if (!err && !k->dry_run) {
        err = nr_keep_drop(a, &plan, &n, d);
        (void)printf("dropped %zu segments\n", n);
    }
    nr_arena_fini(&arena);
    return err;
}

int
archive_prune(struct archive_keep *k)
{
    struct nr_archive *a = NULL;
    struct nr_keep_rule rule;
    struct nr_diag d = { 0 };
    enum nr_err err;

    if (!rule_of(k, &rule))
        return CLI_ERROR;
    err = archive_keep_open(k, !k->dry_run, false, &a, &d);
    if (!err)
        err = prune(k, a, &rule, &d);
    nr_archive_close(a);
    if (err)
        return cli_fail(k->cli, &d);
    return k->failed > 0 ? CLI_INCOMPLETE : CLI_NOTHING;
}

/* Holds */

static int
hold_ls(struct archive_keep *k)
{
    struct nr_archive *a = NULL;
    struct nr_holds h = { 0 };
    struct nr_arena arena;
    struct nr_diag d = { 0 };
    enum nr_err err = archive_keep_open(k, false, false, &a, &d);

    nr_arena_init(&arena, PLAN_MEMORY);
    if (!err)
        err = nr_holds_read(k->dir, &arena, &h, &d);
    for (size_t i = 0; !err && i < h.n; i++) {
        char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX], set[NR_RFC3339_MAX];

        (void)printf("%.*s\t%s\t%s\t%s\t%.*s\n", NR_FMT(h.v[i].name),
            nr_day_print(h.v[i].days.from, from),
            nr_day_print(h.v[i].days.to, to), nr_time_print(h.v[i].set_s, set),
            NR_FMT(h.v[i].reason));
    }
    nr_arena_fini(&arena);
    nr_archive_close(a);
    return err ? cli_fail(k->cli, &d) : CLI_NOTHING;
}

static enum nr_err
day_operand(const char *text, int64_t *out, struct nr_diag *d)
{
    int64_t s;
    enum nr_err err = nr_time_parse(nr_str_of(text), &s, d);

    if (err)
        nr_diag_add_name(d, text);
    else
        *out = nr_day_of(s);
    return err;
}

static enum nr_err
hold_add(struct archive_keep *k, char **argv, struct nr_diag *d)
{
    struct nr_hold h = { .name = nr_str_of(argv[0]),
        .reason = nr_str_of(k->reason),
        .set_s = nr_env_now_s(&k->cli->env) };
    struct nr_archive *a = NULL;
    enum nr_err err = day_operand(argv[1], &h.days.from, d);

    if (!err)
        err = day_operand(argv[2], &h.days.to, d);
    if (!err)
        err = archive_keep_open(k, true, false, &a, d);
    if (!err)
        err = nr_hold_add(a, &h, d);
    nr_archive_close(a);
    return err;
}

int
archive_hold(struct archive_keep *k, int argc, char **argv)
{
    struct nr_diag d = { 0 };
    struct nr_archive *a = NULL;
    enum nr_err err;

    if (argc == 1 && strcmp(argv[0], "ls") == 0)
        return hold_ls(k);
    if (argc == 4 && strcmp(argv[0], "add") == 0) {
        err = hold_add(k, argv + 1, &d);
    } else if (argc == 2 && strcmp(argv[0], "rm") == 0) {
        err = archive_keep_open(k, true, false, &a, &d);
        if (!err)
            err = nr_hold_remove(a, nr_str_of(argv[1]), &d);
        nr_archive_close(a);
    } else {
        return cli_usage(k->cli,
            "hold add NAME FROM TO [--reason TEXT] | "
            "hold ls | hold rm NAME");
    }
    if (err)
        nr_diag_add_name(&d, argv[1]);
    return err ? cli_fail(k->cli, &d) : CLI_NOTHING;
}
